#include "pool/src/gc.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

#include <optional>
#include <string>
#include <utility>

#include "client/src/dead_task.h"
#include "pool/src/task_processes.h"
#include "protocol/taskdir/removal.h"

namespace bgtask {
namespace {

// A directory is made first and its lock next. One that is still without a lock after this time never gets
// one.
constexpr time_t kUnlockedAge = 60;

bool is_dead(const TaskDirectory& task) {
  Result<bool> alive = supervisor_alive(task);
  return alive && !*alive;
}

// Without a published status no child was ever let go. One that cannot be read says nothing, so nothing is
// done.
bool child_is_gone(const TaskDirectory& task) {
  const Result<Snapshot> snapshot = Snapshot::read(task);
  if (!snapshot) return snapshot.error().code == ErrorCode::kNotFound;
  const Result<std::optional<bool>> alive = snapshot->child_alive();
  return alive && *alive == false;
}

// remove_dead_task looks again, and at the child too; but it is patient with a lock, and most tasks are
// alive.
bool remove_task(const PoolDirectory& pool, pid_t id, TaskProcesses& processes) {
  Result<TaskDirectory> task = open_task(pool, id);
  return task && is_dead(*task) && processes.left_by(*task).empty() &&
         remove_dead_task(pool, *std::move(task));
}

// A hidden directory as if it were a task's; nothing if it is not the pool owner's, or no directory.
std::optional<TaskDirectory> open_remains(const PoolDirectory& pool, const std::string& name,
                                          time_t* changed) {
  TaskDirectory task;
  task.fd.reset(::openat(pool.fd.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat st {};
  if (!task.fd || ::fstat(task.fd.get(), &st) != 0) return std::nullopt;
  if (st.st_uid != pool.owner && st.st_uid != 0) return std::nullopt;
  task.owner = st.st_uid;
  *changed = st.st_mtime;
  return task;
}

// Whether it may be removed; `lock` then holds the lock, or nothing where there is none. The lock is the last
// file to go, so remains of a removal may have none; a directory that is being made soon has one.
bool seize(const TaskDirectory& task, const std::string& name, bool withdrawn, time_t changed,
           io::UniqueFd* lock) {
  Result<io::UniqueFd> taken = taskdir::take_lock_at_once(task.fd.get(), name);
  if (taken) *lock = std::move(*taken);
  if (taken || taken.error().code != ErrorCode::kNotFound) return taken.has_value();
  return withdrawn || ::time(nullptr) - changed > kUnlockedAge;
}

void remove_remains(const PoolDirectory& pool, const std::string& name, bool withdrawn) {
  time_t changed = 0;
  std::optional<TaskDirectory> task = open_remains(pool, name, &changed);
  io::UniqueFd lock;
  if (!task || !seize(*task, name, withdrawn, changed, &lock) || !child_is_gone(*task)) return;
  taskdir::Place place{pool.fd.get(), task->fd.get(), name};
  static_cast<void>(taskdir::remove(place));
}

}  // namespace

Result<std::vector<pid_t>> collect_garbage(const PoolDirectory& pool) {
  Result<std::vector<pid_t>> ids = list_ids(pool);
  if (!ids) return ids;
  std::vector<pid_t> removed;
  TaskProcesses processes;
  for (pid_t id : *ids) {
    if (remove_task(pool, id, processes)) removed.push_back(id);
  }
  const taskdir::HiddenNames hidden = list_hidden(pool);
  for (const std::string& name : hidden.withdrawn)
    remove_remains(pool, name, true);
  for (const std::string& name : hidden.unpublished)
    remove_remains(pool, name, false);
  return removed;
}

void collect_remains_of(const PoolDirectory& pool, const std::string& name) {
  remove_remains(pool, name, true);
}

}  // namespace bgtask
