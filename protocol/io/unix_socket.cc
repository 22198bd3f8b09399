#include "protocol/io/unix_socket.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>

#include "protocol/io/files.h"
#include "protocol/io/users.h"

namespace bgtask::io {
namespace {

// A peer in more groups is refused where a group decides.
constexpr size_t kMaxGroups = 1024;

// The directory's descriptor replaces its path, so the path's length does not matter.
sockaddr_un address_of(int dir_fd, const char* name) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", dir_fd, name);
  return address;
}

sockaddr_un address_of_open(int fd) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d", fd);
  return address;
}

UniqueFd new_socket() {
  return UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

}  // namespace

Result<UniqueFd> listen_at(int dir_fd, const char* name, int backlog) {
  UniqueFd fd = new_socket();
  if (!fd) return fail_errno("cannot make a socket", errno);
  // bind gives the name the mode of the unbound socket, so it never has a wider one.
  if (::fchmod(fd.get(), 0600) != 0) return fail_errno("cannot set the mode of the socket", errno);
  sockaddr_un address = address_of(dir_fd, name);
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    return fail_in_proc(std::string("cannot bind '") + name + "'", errno);
  }
  if (::listen(fd.get(), backlog) != 0) return fail_errno("cannot listen on the socket", errno);
  return fd;
}

Result<UniqueFd> connect_at(int dir_fd, const char* name) {
  // connect(2) follows links, which could lead to the socket of another task.
  UniqueFd entry(::openat(dir_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC));
  struct stat status {};
  if (!entry || ::fstat(entry.get(), &status) != 0) return fail_errno("cannot open the task's socket", errno);
  if (S_ISLNK(status.st_mode)) return fail(ErrorCode::kDenied, "the task's socket is a symbolic link");
  UniqueFd fd = new_socket();
  if (!fd) return fail_errno("cannot make a socket", errno);
  sockaddr_un address = address_of_open(entry.get());
  int connected = 0;
  do {
    connected = ::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address);
  } while (connected != 0 && errno == EINTR);
  if (connected == 0) return fd;
  switch (errno) {
    case ECONNREFUSED:
      return fail_errno("nobody listens on the task's socket", ECONNREFUSED, ErrorCode::kLost);
    case EAGAIN:
      return fail_errno("the supervisor does not accept connections just now", EAGAIN, ErrorCode::kBusy);
    default:
      return fail_in_proc("cannot connect to the task's socket", errno);
  }
}

Result<PeerCredentials> peer_credentials(int socket_fd) {
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (::getsockopt(socket_fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0 ||
      size != sizeof credentials) {
    return fail(ErrorCode::kDenied, "the kernel does not say who is at the other end of the socket");
  }
  if (is_unknown_user(credentials.uid)) {
    return fail(ErrorCode::kDenied,
                "this user namespace has no number for who is at the other end of the socket");
  }
  return PeerCredentials{credentials.pid, credentials.uid, credentials.gid};
}

bool peer_in_group(int socket_fd, gid_t group) {
  auto peer = peer_credentials(socket_fd);
  if (!peer) return false;
  if (peer->gid == group) return true;
  gid_t groups[kMaxGroups];
  socklen_t size = sizeof groups;
  if (::getsockopt(socket_fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) != 0) return false;
  gid_t* end = groups + size / sizeof(gid_t);
  return std::find(groups, end, group) != end;
}

}  // namespace bgtask::io
