#include "client/src/supervisor_socket.h"

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>

#include "protocol/io/files.h"
#include "protocol/io/unix_socket.h"
#include "protocol/taskdir/names.h"

namespace bgtask {
namespace {

std::string task_name(pid_t id) {
  return "task " + std::to_string(id);
}

/// Users other than the owner and root may only watch, and only where the task is shared with them.
const char* endpoint_for(const TaskDirectory& task) {
  const uid_t caller = ::geteuid();
  return caller == 0 || caller == task.owner ? taskdir::kControlSocket : taskdir::kReadSocket;
}

}  // namespace

Result<SupervisorSocket> connect_to_supervisor(const TaskDirectory& task) {
  Result<io::UniqueFd> socket = io::connect_at(task.fd.get(), endpoint_for(task));
  if (!socket) return fail(std::move(socket).error());
  const Result<io::PeerCredentials> peer = io::peer_credentials(socket->get());
  if (!peer) return fail(Failure(peer.error()));
  if (peer->uid != task.owner && peer->uid != 0) {
    return fail(ErrorCode::kImpostor, "user " + std::to_string(peer->uid) + " answers on the socket of " +
                                          task_name(task.id) + ", which belongs to user " +
                                          std::to_string(task.owner));
  }
  return SupervisorSocket{std::move(*socket), peer->pid};
}

bool may_connect_later(const Failure& failure) {
  const bool passes = failure.code == ErrorCode::kBusy || failure.code == ErrorCode::kLost ||
                      failure.code == ErrorCode::kNotFound;
  return passes && io::proc_is_mounted();
}

void send_unsent(int socket, ClientSession& session) {
  const std::array<std::string_view, 2> unsent = session.unsent();
  iovec parts[] = {{const_cast<char*>(unsent[0].data()), unsent[0].size()},
                   {const_cast<char*>(unsent[1].data()), unsent[1].size()}};
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = std::size(parts);
  const ssize_t sent = ::sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent >= 0) {
    session.sent(static_cast<std::size_t>(sent));
  } else if (errno != EAGAIN && errno != EINTR) {
    session.drop_unsent();
  }
}

Failure supervisor_is_dead(pid_t task) {
  return {ErrorCode::kLost,
          "the supervisor of " + task_name(task) +
              " is dead: adopt puts a new one in charge, and its output can be read as it is"};
}

}  // namespace bgtask
