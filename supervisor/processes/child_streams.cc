#include "supervisor/processes/child_streams.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "protocol/ring/format.h"

namespace bgtask::supervisor {
namespace {

// unix_dgram_sendmsg refuses what is longer than the send buffer less 32 bytes, and the kernel doubles the
// size asked for: so this makes a message of kMaxMessage the longest that can be sent (EMSGSIZE beyond).
constexpr int kDataSendBuffer = (static_cast<int>(ring::kMaxMessage) + 32) / 2;

// The child's end of an output pipe. Opened read-write it is also a reader of itself, so that the child is
// not killed by SIGPIPE when the supervisor dies, and an adopter can open it again through /proc. End-of-file
// still works: it comes when the last process that holds it is gone.
Result<io::UniqueFd> survivable_end(const io::UniqueFd& write_end) {
  char path[64];
  std::snprintf(path, sizeof path, "/proc/self/fd/%d", write_end.get());
  io::UniqueFd fd(::open(path, O_RDWR | O_CLOEXEC));
  if (!fd) return fail_errno("cannot open the child's end of a pipe", errno);
  return fd;
}

// So that a child that is somebody else may open /dev/stdin and /dev/stdout.
Status hand_to_user(const wire::LaunchSpec& spec, const io::UniqueFd& end) {
  if (spec.user && ::fchown(end.get(), spec.user->uid, spec.user->gid) != 0) {
    return fail_errno("cannot hand a pipe to the child's user", errno);
  }
  return {};
}

Status make_stdin(const wire::LaunchSpec& spec, ChildStreams& ours, ChildEnds& theirs) {
  if (!spec.stdin_pipe) {
    theirs.fds[0].reset(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (!theirs.fds[0]) return fail_errno("cannot open /dev/null", errno);
    return {};
  }
  auto pipe = make_pipe();
  if (!pipe) return fail(std::move(pipe).error());
  theirs.fds[0] = std::move(pipe->read);
  ours.stdin_pipe = std::move(pipe->write);
  if (Status handed = hand_to_user(spec, theirs.fds[0]); !handed) return handed;
  return set_nonblocking(ours.stdin_pipe);
}

Status make_output(const wire::LaunchSpec& spec, io::UniqueFd& ours, io::UniqueFd& theirs) {
  auto pipe = make_pipe();
  if (!pipe) return fail(std::move(pipe).error());
  ours = std::move(pipe->read);
  theirs = std::move(pipe->write);
  if (!spec.kill_on_supervisor_death) {
    auto end = survivable_end(theirs);
    if (!end) return fail(std::move(end).error());
    theirs = std::move(*end);
  }
  if (Status handed = hand_to_user(spec, theirs); !handed) return handed;
  return set_nonblocking(ours);
}

// Our end of the data channel, put into flight to the child's own end: while the child's end is open, so is
// ours, and the child is not killed by SIGPIPE when the supervisor dies. An adopter peeks it out of the queue
// again. The kernel limits how many a user may have in flight (ETOOMANYREFS): the task then does without.
void keep_in_flight(const io::UniqueFd& end) {
  char byte = 0;
  iovec part{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  int fd = end.get();
  std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
  static_cast<void>(::sendmsg(end.get(), &message, MSG_NOSIGNAL));
}

Status make_data_channel(const wire::LaunchSpec& spec, io::UniqueFd& ours, io::UniqueFd& theirs) {
  int fds[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0) {
    return fail_errno("cannot make the data channel", errno);
  }
  ours.reset(fds[0]);
  theirs.reset(fds[1]);
  // Before credentials are asked for: a socket that sends with them is given an abstract name, and we have
  // none.
  if (!spec.kill_on_supervisor_death) keep_in_flight(ours);
  // With credentials every message has something beside its bytes: an empty one differs from the end.
  int on = 1;
  if (::setsockopt(ours.get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0 ||
      ::setsockopt(theirs.get(), SOL_SOCKET, SO_SNDBUF, &kDataSendBuffer, sizeof kDataSendBuffer) != 0) {
    return fail_errno("cannot set up the data channel", errno);
  }
  return set_nonblocking(ours);
}

}  // namespace

uint64_t pipe_inode(const io::UniqueFd& pipe) {
  struct stat st {};
  return pipe && ::fstat(pipe.get(), &st) == 0 ? st.st_ino : 0;
}

Result<Pipe> make_pipe() {
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) != 0) return fail_errno("cannot make a pipe", errno);
  return Pipe{io::UniqueFd(fds[0]), io::UniqueFd(fds[1])};
}

Status set_nonblocking(const io::UniqueFd& fd) {
  int flags = ::fcntl(fd.get(), F_GETFL);
  if (flags < 0 || ::fcntl(fd.get(), F_SETFL, flags | O_NONBLOCK) < 0) {
    return fail_errno("cannot make a descriptor non-blocking", errno);
  }
  return {};
}

Status make_child_streams(const wire::LaunchSpec& spec, ChildStreams& ours, ChildEnds& theirs) {
  Status made = make_stdin(spec, ours, theirs);
  if (made) made = make_output(spec, ours.stdout_pipe, theirs.fds[1]);
  if (made) made = make_output(spec, ours.stderr_pipe, theirs.fds[2]);
  if (made) made = make_data_channel(spec, ours.data_socket, theirs.fds[kChildDataFd]);
  return made;
}

}  // namespace bgtask::supervisor
