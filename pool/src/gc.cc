#include "pool/src/gc.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "client/src/dead_task.h"
#include "protocol/io/directory_names.h"
#include "protocol/io/files.h"

namespace bgtask {
namespace {

// A directory is made first and its lock next. One that is still without a lock after this time never gets
// one.
constexpr time_t kUnlockedAge = 60;

// None if the directory cannot be read.
std::vector<std::string> names_in(int dir_fd) {
  return io::directory_names(dir_fd).value_or(std::vector<std::string>());
}

bool is_dead(const TaskDirectory& task) {
  Result<bool> alive = supervisor_alive(task);
  return alive && !*alive;
}

// Without a published status no child was ever let go. One that cannot be read says nothing, so nothing is
// done.
bool child_is_gone(const TaskDirectory& task) {
  Result<Json> snapshot = read_snapshot(task, false);
  if (!snapshot) return snapshot.error().code == ErrorCode::kNotFound;
  const Result<std::optional<bool>> alive = child_alive(*snapshot);
  return alive && *alive == false;
}

// remove_dead_task looks again, and at the child too; but it is patient with a lock, and most tasks are
// alive.
bool remove_task(const PoolDirectory& pool, pid_t id) {
  Result<TaskDirectory> task = open_task(pool, id);
  return task && is_dead(*task) && remove_dead_task(pool, *std::move(task));
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

// Whether it is ours to remove: `lock` then holds the lock, or nothing where there is none: of what was
// withdrawn it is the last to go, and what is being made has it within that time.
bool seize(const TaskDirectory& task, bool abandoned, time_t changed, io::UniqueFd* lock) {
  lock->reset(::openat(task.fd.get(), "lock", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!*lock) return errno == ENOENT && (abandoned || ::time(nullptr) - changed > kUnlockedAge);
  struct stat st {};
  if (::fstat(lock->get(), &st) != 0 || !S_ISREG(st.st_mode)) return false;
  return io::try_flock(lock->get(), LOCK_EX) == 0;
}

void remove_remains(const PoolDirectory& pool, const std::string& name, bool abandoned) {
  time_t changed = 0;
  std::optional<TaskDirectory> task = open_remains(pool, name, &changed);
  io::UniqueFd lock;
  if (!task || !seize(*task, abandoned, changed, &lock) || !child_is_gone(*task)) return;
  // Only what lies in it, nothing deeper: a task's directory has no directories.
  for (const std::string& file : names_in(task->fd.get())) {
    if (file != "lock") ::unlinkat(task->fd.get(), file.c_str(), 0);
  }
  ::unlinkat(task->fd.get(), "lock", 0);
  ::unlinkat(pool.fd.get(), name.c_str(), AT_REMOVEDIR);
}

}  // namespace

Result<std::vector<pid_t>> collect_garbage(const PoolDirectory& pool) {
  Result<std::vector<pid_t>> ids = list_ids(pool);
  if (!ids) return ids;
  std::vector<pid_t> removed;
  for (pid_t id : *ids) {
    if (remove_task(pool, id)) removed.push_back(id);
  }
  for (const std::string& name : names_in(pool.fd.get())) {
    const bool withdrawn = name.starts_with(".del-");
    if (withdrawn || name.starts_with(".tmp-")) remove_remains(pool, name, withdrawn);
  }
  return removed;
}

void collect_remains_of(const PoolDirectory& pool, const std::string& name) {
  remove_remains(pool, name, true);
}

}  // namespace bgtask
