#include "client/src/task_directory.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <string_view>

#include "protocol/io/directory_names.h"
#include "protocol/io/files.h"
#include "protocol/io/process_stat.h"
#include "protocol/io/safe_directory.h"
#include "protocol/wire/codec.h"
#include "protocol/wire/limits.h"

namespace bgtask {
namespace {

constexpr const char* kSystemPool = "/var/run/bgtask";
constexpr mode_t kWritableByOthers = S_IWGRP | S_IWOTH;

std::string pool_name(const std::filesystem::path& path) {
  std::error_code unknown_cwd;  // then the relative path is as good as any
  return io::directory_name(
      path.is_absolute() ? path.string() : (std::filesystem::current_path(unknown_cwd) / path).string());
}

std::optional<pid_t> task_id(std::string_view name) {
  pid_t id = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), id);
  if (error != std::errc() || end != name.data() + name.size() || id <= 0) return std::nullopt;
  if (std::to_string(id) != name) return std::nullopt;  // no leading zeros: one task, one name
  return id;
}

/// For who may watch a task but not touch its lock: whether the process that published the status is still
/// there. Nothing if the status may not be read either. Fails only for want of descriptors or memory.
Result<std::optional<bool>> supervisor_runs(const TaskDirectory& task) {
  const Result<std::string> text = io::read_file(task.fd.get(), "status", wire::kMaxStatusFile, &task.owner);
  if (!text) return unknown(text.error());
  const Result<Json> document = wire::decode_json(*text, wire::reply_limits());
  if (!document || !document->is_object()) return std::nullopt;
  const Json supervision = document->value("supervision", Json(nullptr));
  if (!supervision.is_object()) return std::nullopt;
  const Json pid = document->value("pid", Json(nullptr));
  if (!pid.is_number_integer()) return std::nullopt;
  const Result<io::ProcessStat> process = io::process_stat(pid.get<pid_t>());
  if (!process && process.error().code != ErrorCode::kNotFound) return unknown(process.error());
  // Where /proc hides other users' processes, signal 0 still tells whether there is one.
  if (!process && ::kill(pid.get<pid_t>(), 0) != 0 && errno == EPERM) return true;
  if (process && supervision.value("start", Json(0)) == 0) return std::nullopt;
  const Result<std::string> boot = io::boot_id();
  if (!boot) return unknown(boot.error());
  return process && !process->dead() && supervision.value("start", Json(nullptr)) == process->start_ticks &&
         supervision.value("boot_id", Json(nullptr)) == *boot;
}

bool is_former_pid(const Json& snapshot, pid_t pid) {
  const auto former = snapshot.find("former_pids");
  return former != snapshot.end() && former->is_array() &&
         std::find(former->begin(), former->end(), Json(pid)) != former->end();
}

bool is_child(const Json& snapshot, pid_t pid) {
  const auto child = snapshot.find("child_pid");
  if (child == snapshot.end() || *child != pid) return false;
  const Result<std::optional<bool>> alive = child_alive(snapshot);
  return alive && *alive == true;
}

}  // namespace

Result<std::optional<bool>> unknown(const Failure& reason) {
  if (is_own_shortage(reason.code)) return fail(Failure(reason));
  return std::nullopt;
}

Result<PoolDirectory> open_pool(const std::filesystem::path& path) {
  if (path.empty()) return fail(ErrorCode::kBadArgument, "the path of the pool is empty");
  PoolDirectory pool;
  pool.path = pool_name(path);
  Result<io::UniqueFd> fd = io::open_safe_directory(pool.path.string());
  if (!fd) return fail(std::move(fd).error());
  pool.fd = std::move(*fd);
  struct stat info {};
  if (::fstat(pool.fd.get(), &info) != 0)
    return fail_errno("cannot examine the pool " + pool.path.string(), errno);
  pool.owner = info.st_uid;
  return pool;
}

Result<std::filesystem::path> default_pool_path() {
  if (const char* path = ::secure_getenv("BGTASK_POOL"); path != nullptr && *path != '\0') {
    return pool_name(path);
  }
  const uid_t caller = ::geteuid();
  if (caller == 0) return std::filesystem::path(kSystemPool);
  if (const char* runtime = ::secure_getenv("XDG_RUNTIME_DIR"); runtime != nullptr && *runtime == '/') {
    return std::filesystem::path(runtime) / "bgtask";
  }
  std::filesystem::path own = std::filesystem::path(kSystemPool) / std::to_string(caller);
  struct stat info {};
  if (::lstat(own.c_str(), &info) == 0) return own;
  return fail(ErrorCode::kNotFound,
              "there is no default pool: set BGTASK_POOL to a directory of yours with mode 0700, or set "
              "XDG_RUNTIME_DIR, or have root make " +
                  own.string() + " for you");
}

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

Result<bool> supervisor_alive(const TaskDirectory& task) {
  const auto what = [&] { return "the lock of task " + std::to_string(task.id); };
  io::UniqueFd lock(::openat(task.fd.get(), "lock", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  struct stat info {};
  if (!lock && errno == EACCES) {
    const bool is_file =
        ::fstatat(task.fd.get(), "lock", &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(info.st_mode);
    const Result<std::optional<bool>> running = is_file ? supervisor_runs(task) : std::nullopt;
    if (!running) return fail(Failure(running.error()));
    if (*running) return **running;
    errno = EACCES;
  }
  if (!lock) return fail_errno("cannot open " + what(), errno, ErrorCode::kDenied);
  if (::fstat(lock.get(), &info) != 0)
    return fail_errno("cannot examine " + what(), errno, ErrorCode::kDenied);
  if (!S_ISREG(info.st_mode)) return fail(ErrorCode::kDenied, what() + " is not a regular file");
  if (info.st_uid != task.owner && info.st_uid != 0) {
    return fail(ErrorCode::kDenied, what() + " belongs to user " + std::to_string(info.st_uid));
  }
  // Shared, so that two who look at the same moment do not take each other for a supervisor.
  if (io::try_flock(lock.get(), LOCK_SH) == 0) return false;
  if (errno == EWOULDBLOCK) return true;
  return fail_errno("cannot test " + what(), errno, ErrorCode::kDenied);
}

bool is_user_pool(const PoolDirectory& pool, pid_t id) {
  if (pool.owner != 0) return false;
  const std::string name = std::to_string(id);
  struct stat info {};
  if (::fstatat(pool.fd.get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) return false;
  if (!S_ISDIR(info.st_mode) || info.st_uid == 0 || info.st_uid != static_cast<uid_t>(id)) return false;
  return ::fstatat(pool.fd.get(), (name + "/lock").c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0 &&
         errno == ENOENT;
}

Result<std::vector<pid_t>> list_ids(const PoolDirectory& pool, std::vector<std::string>* strange) {
  const Result<std::vector<std::string>> names = io::directory_names(pool.fd.get());
  if (!names) {
    return fail_errno("cannot list the pool " + pool.path.string(), names.error().os_error,
                      ErrorCode::kDenied);
  }
  std::vector<pid_t> ids;
  for (const std::string& name : *names) {
    if (name.starts_with('.')) continue;
    if (const std::optional<pid_t> id = task_id(name)) {
      ids.push_back(*id);
    } else if (strange != nullptr) {
      strange->emplace_back(name);
    }
  }
  std::sort(ids.begin(), ids.end());
  return ids;
}

Result<TaskDirectory> find_task(const PoolDirectory& pool, pid_t pid) {
  Result<TaskDirectory> by_name = open_task(pool, pid);
  if (by_name) return by_name;
  Result<std::vector<pid_t>> ids = list_ids(pool);
  if (!ids) return fail(std::move(ids).error());
  std::optional<TaskDirectory> adopted;
  for (const pid_t id : *ids) {
    Result<TaskDirectory> task = open_task(pool, id);
    if (!task) continue;
    const Result<Json> snapshot = read_snapshot(*task, false);
    if (!snapshot) continue;
    if (is_child(*snapshot, pid)) return task;
    if (!adopted && is_former_pid(*snapshot, pid)) adopted = std::move(*task);
  }
  if (adopted) return std::move(*adopted);
  if (is_user_pool(pool, pid)) {
    return fail(ErrorCode::kNotFound,
                "there is no task " + std::to_string(pid) + " in " + pool.path.string());
  }
  return by_name;
}

}  // namespace bgtask
