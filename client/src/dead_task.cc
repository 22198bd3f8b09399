#include "client/src/dead_task.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cinttypes>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "client/src/deadline.h"
#include "protocol/io/directory_names.h"
#include "protocol/io/files.h"

namespace bgtask {
namespace {

/// Who merely looks whether the lock is free holds it for a moment.
constexpr Seconds kPatience{0.2};

std::string name_of(const TaskDirectory& task) {
  return "task " + std::to_string(task.id);
}

Result<io::UniqueFd> take_lock(const TaskDirectory& task) {
  io::UniqueFd lock(::openat(task.fd.get(), "lock", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!lock) return fail_errno("cannot open the lock of " + name_of(task), errno, ErrorCode::kDenied);
  const Deadline deadline = Deadline::after(kPatience);
  Backoff backoff;
  while (io::try_flock(lock.get(), LOCK_EX) != 0) {
    if (errno != EWOULDBLOCK) return fail_errno("cannot lock " + name_of(task), errno, ErrorCode::kDenied);
    if (!backoff.wait(deadline)) {
      return fail(ErrorCode::kRunning, "the supervisor of " + name_of(task) + " is alive");
    }
  }
  return lock;
}

/// The child of a task that was never published ended with its supervisor, which held it back.
Status check_child_is_gone(const TaskDirectory& task) {
  const Result<Json> snapshot = read_snapshot(task, false);
  if (!snapshot && snapshot.error().code != ErrorCode::kNotFound) return fail(Failure(snapshot.error()));
  if (!snapshot) return {};
  const Result<std::optional<bool>> alive = child_alive(*snapshot);
  if (!alive) return fail(Failure(alive.error()));
  if (!*alive) {
    return fail(ErrorCode::kRunning, "the supervisor of " + name_of(task) +
                                         " is dead, and /proc does not tell whether its command is");
  }
  if (!**alive) return {};
  return fail(ErrorCode::kRunning,
              "the supervisor of " + name_of(task) +
                  " is dead but its command still runs: adopt the task first, then delete it");
}

/// Only who holds the lock renames a dead task's directory, so that the answer stays true.
Status check_name(const PoolDirectory& pool, const TaskDirectory& task) {
  struct stat by_name {};
  struct stat opened {};
  const std::string name = std::to_string(task.id);
  if (::fstat(task.fd.get(), &opened) == 0 &&
      ::fstatat(pool.fd.get(), name.c_str(), &by_name, AT_SYMLINK_NOFOLLOW) == 0 &&
      by_name.st_dev == opened.st_dev && by_name.st_ino == opened.st_ino) {
    return {};
  }
  return fail(ErrorCode::kNotFound, name_of(task) + " is gone");
}

Result<std::string> hide(const PoolDirectory& pool, const TaskDirectory& task) {
  std::uint64_t random = 0;
  if (::getrandom(&random, sizeof random, 0) != sizeof random) return fail_errno("no random number", errno);
  char hidden[64];
  std::snprintf(hidden, sizeof hidden, ".del-%d-%016" PRIx64, static_cast<int>(task.id), random);
  const std::string name = std::to_string(task.id);
  if (::renameat2(pool.fd.get(), name.c_str(), pool.fd.get(), hidden, RENAME_NOREPLACE) != 0) {
    return fail_errno("cannot move " + name_of(task) + " aside", errno, ErrorCode::kDenied);
  }
  return std::string(hidden);
}

/// The control group that the task had, if its processes are gone. A path that somebody else wrote is not
/// followed.
void remove_control_group(const TaskDirectory& task) {
  if (task.owner != ::geteuid()) return;
  const Result<Json> snapshot = read_snapshot(task, false);
  if (!snapshot) return;
  const Json supervision = snapshot->value("supervision", Json(nullptr));
  const Json path = supervision.is_object() ? supervision.value("cgroup", Json(nullptr)) : Json(nullptr);
  if (path.is_string() && path != "") ::rmdir(path.get_ref<const std::string&>().c_str());
}

Status delete_files(const TaskDirectory& task) {
  Result<std::vector<std::string>> names = io::directory_names(task.fd.get());
  if (!names) return fail(Failure(names.error()));
  std::erase(*names, "lock");
  names->emplace_back("lock");  // the last to go: gc can then tell remains from what is being made
  for (const std::string& name : *names) {
    if (::unlinkat(task.fd.get(), name.c_str(), 0) != 0 && errno != ENOENT) {
      return fail_errno("cannot delete '" + name + "' of " + name_of(task), errno, ErrorCode::kDenied);
    }
  }
  return {};
}

}  // namespace

Status remove_dead_task(const PoolDirectory& pool, TaskDirectory&& task) {
  const TaskDirectory doomed = std::move(task);
  if (Status gone = check_child_is_gone(doomed); !gone) return gone;
  const Result<io::UniqueFd> lock = take_lock(doomed);
  if (!lock) return fail(Failure(lock.error()));
  if (Status same = check_name(pool, doomed); !same) return same;
  const Result<std::string> hidden = hide(pool, doomed);
  if (!hidden) return fail(Failure(hidden.error()));
  remove_control_group(doomed);
  if (Status deleted = delete_files(doomed); !deleted) return deleted;
  if (::unlinkat(pool.fd.get(), hidden->c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT) {
    return fail_errno("cannot remove the directory of " + name_of(doomed), errno, ErrorCode::kDenied);
  }
  return {};
}

}  // namespace bgtask
