#include "protocol/taskdir/liveness.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <ctime>

#include "protocol/io/files.h"
#include "protocol/io/process_stat.h"
#include "protocol/taskdir/keys.h"
#include "protocol/taskdir/names.h"
#include "protocol/wire/codec.h"
#include "protocol/wire/limits.h"
#include "protocol/wire/typed.h"

namespace bgtask::taskdir {
namespace {

constexpr int kLockTries = 40;
constexpr timespec kPause{0, 5'000'000};

/// For callers that may watch a task but not open its lock: whether the process that published the status
/// still exists. Nothing if the status may not be read either.
Result<std::optional<bool>> supervisor_runs(const TaskDirectory& task) {
  const Result<std::string> text = io::read_file(task.fd.get(), kStatus, kMaxStatusFile, &task.owner);
  if (!text) return unknown(text.error());
  const Result<Json> document = wire::decode_json(*text, wire::reply_limits());
  if (!document || !document->is_object()) return std::nullopt;
  const std::optional<pid_t> pid = wire::as_pid(wire::member_in(*document, key::kPid));
  const std::optional<Supervision> supervision =
      decode_supervision(wire::member_in(*document, key::kSupervision));
  if (!pid || !supervision) return std::nullopt;
  const Result<io::ProcessStat> process = io::process_stat(*pid);
  if (!process && process.error().code != ErrorCode::kNotFound) return unknown(process.error());
  // Where /proc hides other users' processes, signal 0 still tells whether there is one.
  if (!process && ::kill(*pid, 0) != 0 && errno == EPERM) return true;
  if (process && supervision->start == 0) return std::nullopt;
  const Result<std::string> boot = io::boot_id();
  if (!boot) return unknown(boot.error());
  return process && !process->dead() && supervision->start == process->start_ticks &&
         supervision->boot_id == *boot;
}

Result<io::UniqueFd> open_lock(int directory, const std::string& name) {
  io::UniqueFd lock(::openat(directory, kLock, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!lock) return fail_errno("cannot open the lock of " + name, errno, ErrorCode::kDenied);
  struct stat info {};
  if (::fstat(lock.get(), &info) != 0 || !S_ISREG(info.st_mode))
    return fail(ErrorCode::kDenied, "the lock of " + name + " is not a regular file");
  return lock;
}

Result<io::UniqueFd> take_lock(int directory, const std::string& name, int tries) {
  Result<io::UniqueFd> lock = open_lock(directory, name);
  if (!lock) return lock;
  while (io::try_flock(lock->get(), LOCK_EX) != 0) {
    if (errno != EWOULDBLOCK) return fail_errno("cannot lock " + name, errno, ErrorCode::kDenied);
    if (--tries <= 0) return fail(ErrorCode::kRunning, "the supervisor of " + name + " is alive");
    ::nanosleep(&kPause, nullptr);
  }
  return lock;
}

}  // namespace

Result<std::optional<bool>> unknown(const Failure& reason) {
  if (is_own_shortage(reason.code)) return fail(Failure(reason));
  return std::nullopt;
}

Result<bool> supervisor_alive(const TaskDirectory& task) {
  const auto what = [&] { return "the lock of task " + std::to_string(task.id); };
  io::UniqueFd lock(::openat(task.fd.get(), kLock, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  struct stat info {};
  if (!lock && errno == EACCES) {
    const bool is_file =
        ::fstatat(task.fd.get(), kLock, &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(info.st_mode);
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
  // Shared, so that two probes at the same moment do not take each other for a supervisor.
  if (io::try_flock(lock.get(), LOCK_SH) == 0) return false;
  if (errno == EWOULDBLOCK) return true;
  return fail_errno("cannot test " + what(), errno, ErrorCode::kDenied);
}

Result<io::UniqueFd> take_lock(int directory, const std::string& name) {
  return take_lock(directory, name, kLockTries);
}

Result<io::UniqueFd> take_lock_at_once(int directory, const std::string& name) {
  return take_lock(directory, name, 1);
}

Result<io::UniqueFd> make_lock(int directory) {
  io::UniqueFd lock(::openat(directory, kFreshLock, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!lock || io::try_flock(lock.get(), LOCK_EX) != 0 ||
      ::renameat2(directory, kFreshLock, directory, kLock, RENAME_NOREPLACE) != 0) {
    return fail_errno("cannot make and hold the lock file", errno);
  }
  return lock;
}

Result<std::optional<bool>> child_alive(std::optional<pid_t> child,
                                        const std::optional<Supervision>& supervision) {
  if (!child || !supervision) return false;
  const Result<std::string> boot = io::boot_id();
  if (!boot) return unknown(boot.error());
  if (supervision->boot_id != *boot) return false;
  const Result<io::ProcessStat> process = io::process_stat(*child);
  if (!process && process.error().code != ErrorCode::kNotFound) return unknown(process.error());
  // A zombie has ended; its new parent has not reaped it yet.
  return process && process->start_ticks == supervision->child_start && !process->dead();
}

}  // namespace bgtask::taskdir
