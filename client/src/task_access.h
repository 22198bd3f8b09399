// What the pool library may do with a Task beyond its public interface.
#pragma once

#include <bgtask/task.h>

#include <memory>
#include <optional>

#include "client/src/task_directory.h"
#include "protocol/wire/result.h"

namespace bgtask {

class TaskCore;

struct TaskAccess {
  /// A task that was just opened. `snapshot`, if given, is what info() is made from without contacting
  /// anybody. The descriptor in `directory` is not kept (a search may find more tasks than a process may have
  /// files open): the task remembers which directory it was and accepts no other when it opens it again.
  static Task make(std::shared_ptr<const PoolDirectory> pool, const TaskDirectory& directory,
                   std::optional<Snapshot> snapshot = std::nullopt);

  /// Gives a task made without a directory its id. It started, which is what was asked for; that it is
  /// deleted already is for the next call to find.
  static void set_id(Task& task, pid_t id) noexcept;

  /// The task's directory, looked up and opened if need be. Lives as long as the task.
  static Result<const TaskDirectory*> directory(const Task& task);
  /// What the task is made of.
  static TaskCore& core(const Task& task);
};

}  // namespace bgtask
