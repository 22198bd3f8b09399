#include "supervisor/processes/adoption.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "protocol/io/pidfd.h"

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "supervisor/processes/child_streams.h"
#include "supervisor/processes/process.h"

namespace bgtask::supervisor {
namespace {

constexpr int kHighestDescriptorLookedAt = 256;

// include/uapi/linux/pidfd.h of Linux 6.15; Debian 12's headers are older.
struct PidfdInfo {
  uint64_t mask;
  uint64_t cgroup_id;
  uint32_t pid, tgid, ppid;
  uint32_t ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
  int32_t exit_code;
};
constexpr uint64_t kPidfdInfoExit = 1u << 3;
constexpr unsigned long kPidfdGetInfo = _IOWR(0xFF, 11, PidfdInfo);

bool is_pipe(pid_t pid, int number, uint64_t inode) {
  char path[64];
  std::snprintf(path, sizeof path, "/proc/%d/fd/%d", pid, number);
  struct stat st {};
  return ::stat(path, &st) == 0 && S_ISFIFO(st.st_mode) && st.st_ino == inode;
}

io::UniqueFd reopen(pid_t pid, int number) {
  char path[64];
  std::snprintf(path, sizeof path, "/proc/%d/fd/%d", pid, number);
  return io::UniqueFd(::open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC));
}

// Usually at its own number in the child; a child that moved it, or a descendant, may have it elsewhere.
io::UniqueFd find_pipe(const std::vector<pid_t>& holders, int usual, uint64_t inode) {
  if (inode == 0) return {};
  for (pid_t pid : holders) {
    if (is_pipe(pid, usual, inode)) return reopen(pid, usual);
  }
  for (pid_t pid : holders) {
    for (int number = 0; number < kHighestDescriptorLookedAt; ++number) {
      if (is_pipe(pid, number, inode)) return reopen(pid, number);
    }
  }
  return {};
}

// The former supervisor left its own end in flight to the child's (see child_streams.cc). Peeking copies it
// out and leaves it there for the next adopter.
io::UniqueFd peek_out_data_socket(pid_t child) {
  io::UniqueFd handle = open_pidfd(child);
  if (!handle) return {};
  io::UniqueFd theirs(::pidfd_getfd(handle.get(), kChildDataFd, 0));
  if (!theirs) return {};
  char byte = 0;
  iovec part{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  if (::recvmsg(theirs.get(), &message, MSG_PEEK | MSG_DONTWAIT | MSG_CMSG_CLOEXEC) < 0) return {};
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (header == nullptr || header->cmsg_type != SCM_RIGHTS || header->cmsg_len != CMSG_LEN(sizeof(int)))
    return {};
  int fd = -1;
  std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
  return io::UniqueFd(fd);
}

}  // namespace

Result<std::optional<PublishedChild>> find_published_child(const taskdir::StatusDocument& published,
                                                           const std::string& boot_id) {
  if (!published.child_pid || !same_boot(published, boot_id)) return std::nullopt;
  const pid_t pid = *published.child_pid;
  Look look;
  io::UniqueFd handle = open_pidfd(pid);
  if (!handle) look.failed(errno);
  if (!look.complete) return fail_errno("cannot look at the task's child", look.error);
  auto stat = io::process_stat(pid);
  if (!stat && stat.error().code != ErrorCode::kNotFound) return fail(std::move(stat).error());
  if (!handle || !stat || stat->dead()) return std::nullopt;
  if (stat->start_ticks != published.supervision->child_start) return std::nullopt;
  return std::optional<PublishedChild>(PublishedChild{pid, std::move(handle), stat->start_ticks});
}

bool same_boot(const taskdir::StatusDocument& published, const std::string& boot_id) {
  return published.supervision && published.supervision->boot_id == boot_id;
}

AdoptedStreams recover_streams(std::optional<pid_t> child, const std::vector<pid_t>& members,
                               const taskdir::StatusDocument& published) {
  std::vector<pid_t> holders;
  if (child) holders.push_back(*child);
  holders.insert(holders.end(), members.begin(), members.end());
  AdoptedStreams streams;
  if (published.supervision) {
    streams.stdout_pipe = find_pipe(holders, STDOUT_FILENO, published.supervision->stdout_pipe);
    streams.stderr_pipe = find_pipe(holders, STDERR_FILENO, published.supervision->stderr_pipe);
  }
  for (pid_t holder : holders) {
    if (!streams.data_socket) streams.data_socket = peek_out_data_socket(holder);
  }
  return streams;
}

ExitStatus exit_status_of(const io::UniqueFd& pidfd) {
  PidfdInfo info{};
  info.mask = kPidfdInfoExit;
  if (::ioctl(pidfd.get(), kPidfdGetInfo, &info) != 0) {
    // ESRCH: the kernel knows the request, but the process is gone without a record.
    return {ExitStatus::Kind::kNoWayToTell};
  }
  if ((info.mask & kPidfdInfoExit) == 0) return {ExitStatus::Kind::kNotYet};
  return {ExitStatus::Kind::kKnown, info.exit_code};
}

}  // namespace bgtask::supervisor
