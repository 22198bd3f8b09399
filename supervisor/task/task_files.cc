#include "supervisor/task/task_files.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <ctime>

#include "protocol/io/files.h"
#include "protocol/io/unix_socket.h"
#include "protocol/taskdir/liveness.h"
#include "protocol/taskdir/names.h"
#include "protocol/taskdir/removal.h"
#include "protocol/taskdir/status_document.h"
#include "protocol/wire/codec.h"
#include "protocol/wire/limits.h"

namespace bgtask::supervisor {
namespace {

constexpr int kBacklog = 128;
constexpr size_t kMaxLaunch = 64 << 20;
constexpr off_t kMaxLog = 128 << 10;
constexpr int kAsideTries = 10'000;

Result<io::UniqueFd> open_directory(int pool, const std::string& name) {
  io::UniqueFd fd(::openat(pool, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) return fail_errno("cannot open the task directory '" + name + "'", errno);
  return fd;
}

bool belongs_to_us(int fd) {
  struct stat st {};
  return ::fstat(fd, &st) == 0 && st.st_uid == ::geteuid();
}

}  // namespace

const char* TaskFiles::name_of(Endpoint endpoint) {
  return endpoint == Endpoint::kControl ? taskdir::kControlSocket : taskdir::kReadSocket;
}

Result<TaskFiles> TaskFiles::create(io::UniqueFd pool_fd, std::string name, std::optional<gid_t> group) {
  TaskFiles files;
  files.group_ = group;
  files.pool_ = std::move(pool_fd);
  files.name_ = std::move(name);
  if (::mkdirat(files.pool_.get(), files.name_.c_str(), 0700) != 0) {
    return fail_errno("cannot make a directory in the pool", errno);
  }
  auto directory = open_directory(files.pool_.get(), files.name_);
  if (!directory) {
    ::unlinkat(files.pool_.get(), files.name_.c_str(), AT_REMOVEDIR);
    return fail(std::move(directory).error());
  }
  files.directory_ = std::move(*directory);
  if (Status opened = files.open_to_group(); !opened) {
    static_cast<void>(files.remove());
    return fail(std::move(opened).error());
  }
  if (Status locked = files.make_lock(); !locked) {
    static_cast<void>(files.remove());
    return fail(std::move(locked).error());
  }
  return files;
}

Result<TaskFiles> TaskFiles::take_over(io::UniqueFd pool_fd, pid_t former_id) {
  TaskFiles files;
  files.pool_ = std::move(pool_fd);
  files.name_ = std::to_string(former_id);
  auto directory = open_directory(files.pool_.get(), files.name_);
  if (!directory) return fail(std::move(directory).error());
  files.directory_ = std::move(*directory);
  if (!belongs_to_us(files.directory())) {
    return fail(ErrorCode::kDenied, "task " + files.name_ + " belongs to another user");
  }
  auto lock = taskdir::take_lock(files.directory(), "task " + files.name_);
  if (!lock && lock.error().code == ErrorCode::kRunning)
    lock.error().message += ": there is nothing to adopt";
  if (!lock) return fail(std::move(lock).error());
  files.lock_ = std::move(*lock);
  return files;
}

// With the group's bit set, what is made in the directory belongs to the group from its first moment.
Status TaskFiles::open_to_group() const {
  if (!group_) return {};
  if (::fchown(directory(), static_cast<uid_t>(-1), *group_) != 0 || ::fchmod(directory(), 02750) != 0) {
    return fail_errno("cannot share the task with group " + std::to_string(*group_) +
                          " ('share_with'; only root can share with a group it is not in)",
                      errno, ErrorCode::kDenied);
  }
  return {};
}

Status TaskFiles::share(const char* name) const {
  if (!group_ || ::fchmodat(directory(), name, shared_mode(), 0) == 0) return {};
  return fail_errno(std::string("cannot share '") + name + "'", errno);
}

Result<io::UniqueFd> TaskFiles::listen(Endpoint endpoint) {
  // Under a temporary name until it has what it is to have: nobody looks for that name.
  const std::string name = name_of(endpoint), fresh = taskdir::fresh_name(name);
  ::unlinkat(directory(), fresh.c_str(), 0);
  auto fd = io::listen_at(directory(), fresh.c_str(), kBacklog);
  if (!fd) return fd;
  bool shared = endpoint == Endpoint::kRead && group_;
  struct stat st {};
  if ((shared && ::fchmodat(directory(), fresh.c_str(), 0660, 0) != 0) ||
      ::fstatat(directory(), fresh.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0 ||
      ::renameat(directory(), fresh.c_str(), directory(), name.c_str()) != 0) {
    return fail_errno("cannot put the socket '" + name + "' in place", errno);
  }
  sockets_[static_cast<size_t>(endpoint)] = st.st_ino;
  return fd;
}

Status TaskFiles::watch() const {
  if (::fcntl(directory(), F_NOTIFY, DN_DELETE | DN_MULTISHOT) == 0) return {};
  return fail_errno("cannot watch the task's directory", errno);
}

bool TaskFiles::in_place(Endpoint endpoint) const {
  struct stat st {};
  return ::fstatat(directory(), name_of(endpoint), &st, AT_SYMLINK_NOFOLLOW) == 0 &&
         st.st_ino == sockets_[static_cast<size_t>(endpoint)];
}

bool TaskFiles::has_status() const {
  return ::faccessat(directory(), taskdir::kStatus, F_OK, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT;
}

Status TaskFiles::keep_lock() {
  struct stat held {
  }, named{};
  if (::fstat(lock_.get(), &held) != 0) return fail_errno("cannot examine the lock", errno);
  if (::fstatat(directory(), taskdir::kLock, &named, AT_SYMLINK_NOFOLLOW) == 0) {
    if (held.st_ino == named.st_ino) return {};
    return fail(ErrorCode::kExists, "the lock was replaced by somebody else's");
  }
  ::unlinkat(directory(), taskdir::kFreshLock, 0);
  return make_lock();
}

Status TaskFiles::make_lock() {
  auto lock = taskdir::make_lock(directory());
  if (!lock) return fail(std::move(lock).error());
  lock_ = std::move(*lock);
  return {};
}

bool TaskFiles::directory_gone() const {
  struct stat st {};
  return ::fstat(directory(), &st) == 0 && st.st_nlink == 0;
}

Status TaskFiles::publish(pid_t id) {
  std::string name = std::to_string(id);
  for (int attempt = 0; attempt < 2; ++attempt) {
    if (::renameat2(pool_.get(), name_.c_str(), pool_.get(), name.c_str(), RENAME_NOREPLACE) == 0) {
      name_ = name;
      return {};
    }
    if (errno != EEXIST) return fail_errno("cannot publish the task directory", errno);
    if (Status moved = move_aside(name); !moved) return moved;
  }
  return fail(ErrorCode::kExists, "the pool has an entry '" + name + "' that is not ours to move");
}

Status TaskFiles::move_aside(const std::string& name) {
  auto not_ours = [&] {
    return fail(ErrorCode::kExists, "the pool has an entry '" + name + "' that is no dead task of this user");
  };
  auto directory = open_directory(pool_.get(), name);
  if (!directory || !belongs_to_us(directory->get())) return not_ours();
  const auto lock = taskdir::take_lock(directory->get(), "task " + name);
  if (!lock) return not_ours();
  for (int i = 0; i < kAsideTries; ++i) {
    std::string aside = std::to_string(taskdir::kFirstAsideId + i);
    if (::renameat2(pool_.get(), name.c_str(), pool_.get(), aside.c_str(), RENAME_NOREPLACE) != 0) {
      if (errno == EEXIST) continue;
      return fail_errno("cannot move the dead task '" + name + "' aside", errno);
    }
    TaskFiles dead;
    dead.directory_ = std::move(*directory);
    if (auto status = dead.read_status()) {
      std::vector<pid_t> former = taskdir::decode(*status).former_pids;
      former.push_back(std::atoi(name.c_str()));
      taskdir::rename_task(*status, taskdir::kFirstAsideId + i, former);
      static_cast<void>(dead.write_status(*status));  // it is found under its new name in any case
    }
    return {};
  }
  return not_ours();
}

Status TaskFiles::write_status(const Json& document) {
  return io::replace_file(directory(), taskdir::kStatus, wire::encode_json(document) + "\n", shared_mode());
}

Result<Json> TaskFiles::read_status() const {
  auto text = io::read_file(directory(), taskdir::kStatus, taskdir::kMaxStatusFile);
  if (!text) return fail(std::move(text).error());
  return wire::decode_json(*text, wire::reply_limits());
}

Status TaskFiles::write_launch(std::string_view encoded) {
  return io::replace_file(directory(), taskdir::kLaunch, encoded);
}

Result<wire::LaunchSpec> TaskFiles::read_launch_spec() const {
  auto encoded = io::read_file(directory(), taskdir::kLaunch, kMaxLaunch);
  if (!encoded) return fail(std::move(encoded).error());
  auto document = wire::decode_msgpack(*encoded, {wire::kMaxDepth, encoded->size()});
  if (!document) return fail(std::move(document).error());
  return wire::launch_spec(*document);
}

void TaskFiles::log(std::string_view line) {
  io::UniqueFd fd(
      ::openat(directory(), taskdir::kLog, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd) return;
  struct stat st {};
  if (::fstat(fd.get(), &st) == 0 && st.st_size > kMaxLog)
    ::renameat(directory(), taskdir::kLog, directory(), taskdir::kOldLog);  // this line is the last one there
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  tm utc{};
  ::gmtime_r(&now.tv_sec, &utc);
  char stamp[64];
  size_t length = std::strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%SZ ", &utc);
  std::string entry(stamp, length);
  entry.append(line).push_back('\n');
  static_cast<void>(io::write_all(fd.get(), entry));
}

bool TaskFiles::on_disk() const {
  struct statfs fs {};
  if (::fstatfs(directory(), &fs) != 0) return true;
  return fs.f_type != TMPFS_MAGIC && fs.f_type != RAMFS_MAGIC;
}

Status TaskFiles::remove() {
  taskdir::Place place{pool_.get(), directory(), name_};
  Status removed = taskdir::remove(place);
  name_ = std::move(place.name);
  return removed;
}

}  // namespace bgtask::supervisor
