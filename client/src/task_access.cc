#include "client/src/task_access.h"

#include <utility>

#include "client/src/task_core.h"

namespace bgtask {

Task TaskAccess::make(std::shared_ptr<const PoolDirectory> pool, const TaskDirectory& directory,
                      std::optional<Snapshot> snapshot) {
  Task task(directory.id);
  task.impl_->assume(std::move(pool), directory);
  task.impl_->at_hand = std::move(snapshot);
  return task;
}

void TaskAccess::set_id(Task& task, pid_t id) noexcept {
  task.impl_->set_id(id);
}

Result<const TaskDirectory*> TaskAccess::directory(const Task& task) {
  return task.impl_->directory();
}

TaskCore& TaskAccess::core(const Task& task) {
  return *task.impl_;
}

}  // namespace bgtask
