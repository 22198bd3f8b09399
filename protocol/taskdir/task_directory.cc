#include "protocol/taskdir/task_directory.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <string>

#include "protocol/taskdir/names.h"

namespace bgtask::taskdir {
namespace {

constexpr mode_t kWritableByOthers = S_IWGRP | S_IWOTH;

}  // namespace

Result<TaskDirectory> open_task(const PoolDirectory& pool, pid_t id) {
  const std::string name = std::to_string(id);
  const auto path = [&] { return (pool.path / name).string(); };
  if (id <= 0) return fail(ErrorCode::kNotFound, "there is no task " + name);
  TaskDirectory task;
  task.id = id;
  task.fd.reset(::openat(pool.fd.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!task.fd) {
    if (errno == ENOENT)
      return fail(ErrorCode::kNotFound, "there is no task " + name + " in " + pool.path.string());
    return fail_errno("cannot open the task " + path(), errno, ErrorCode::kDenied);
  }
  struct stat info {};
  if (::fstat(task.fd.get(), &info) != 0)
    return fail_errno("cannot examine " + path(), errno, ErrorCode::kDenied);
  if (info.st_uid != pool.owner && info.st_uid != 0) {
    return fail(ErrorCode::kDenied,
                path() + " belongs to user " + std::to_string(info.st_uid) + ", not to the pool's");
  }
  if ((info.st_mode & kWritableByOthers) != 0) {
    return fail(ErrorCode::kDenied, path() + " can be written by its group or by others");
  }
  task.owner = info.st_uid;
  task.identity = {info.st_dev, info.st_ino};
  return task;
}

bool is_user_pool(const PoolDirectory& pool, pid_t id) {
  if (pool.owner != 0) return false;
  const std::string name = std::to_string(id);
  struct stat info {};
  if (::fstatat(pool.fd.get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) return false;
  if (!S_ISDIR(info.st_mode) || info.st_uid == 0 || info.st_uid != static_cast<uid_t>(id)) return false;
  const std::string lock = name + '/' + kLock;
  return ::fstatat(pool.fd.get(), lock.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT;
}

}  // namespace bgtask::taskdir
