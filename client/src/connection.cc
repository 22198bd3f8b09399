#include "client/src/connection.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <iterator>
#include <optional>
#include <utility>

#include "protocol/io/files.h"
#include "protocol/io/unix_socket.h"
#include "protocol/wire/limits.h"
#include "protocol/wire/message.h"

namespace bgtask {
namespace {

constexpr size_t kReceiveStep = 64 * 1024;
/// A reply is at most kMaxReply, but the info document, which holds the whole command, may be longer.
constexpr size_t kMaxFrame = wire::kMaxStatusFile;

std::string task_name(const TaskDirectory& task) {
  return "task " + std::to_string(task.id);
}

/// Failures of connect(2) that may pass: a full backlog, or the moment between bind and listen.
bool may_pass(ErrorCode code) {
  return code == ErrorCode::kBusy || code == ErrorCode::kLost || code == ErrorCode::kNotFound;
}

/// Whoever is neither the owner nor root may only watch, if that.
const char* endpoint_for(const TaskDirectory& task) {
  const uid_t caller = ::geteuid();
  return caller == 0 || caller == task.owner ? "socket" : "read";
}

Result<io::UniqueFd> connect_until(const TaskDirectory& task, Deadline deadline) {
  Backoff backoff;
  for (;;) {
    Result<io::UniqueFd> socket = io::connect_at(task.fd.get(), endpoint_for(task));
    if (socket || !may_pass(socket.error().code) || !io::proc_is_mounted()) return socket;
    const Result<bool> alive = supervisor_alive(task);
    if (!alive) return fail(Failure(alive.error()));
    if (!*alive)
      return fail(ErrorCode::kLost,
                  "the supervisor of " + task_name(task) +
                      " is dead: adopt puts a new one in charge, and its output can be read as it is");
    if (!backoff.wait(deadline)) {
      return fail(ErrorCode::kUnresponsive,
                  "the supervisor of " + task_name(task) + " is alive but accepts no connection");
    }
  }
}

/// glibc 2.36 declares pidfd_open without C linkage.
int open_process(pid_t pid) {
  return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
}

bool readable(int fd, Deadline deadline) {
  pollfd entry{fd, POLLIN, 0};
  for (;;) {
    const int ready = ::poll(&entry, 1, deadline.poll_timeout());
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return false;
    if (deadline.passed()) return false;
  }
}

}  // namespace

Connection::Connection(io::UniqueFd socket, io::UniqueFd supervisor)
    : socket_(std::move(socket)),
      supervisor_(std::move(supervisor)),
      framer_(kMaxFrame, wire::reply_limits()) {}

Result<std::unique_ptr<Connection>> Connection::open(const TaskDirectory& task, Deadline deadline) {
  Result<io::UniqueFd> socket = connect_until(task, deadline);
  if (!socket) return fail(std::move(socket).error());
  const Result<io::PeerCredentials> peer = io::peer_credentials(socket->get());
  if (!peer) return fail(Failure(peer.error()));
  if (peer->uid != task.owner && peer->uid != 0) {
    return fail(ErrorCode::kImpostor, "user " + std::to_string(peer->uid) + " answers on the socket of " +
                                          task_name(task) + ", which belongs to user " +
                                          std::to_string(task.owner));
  }
  ::fcntl(socket->get(), F_SETFL, 0);  // receiving is waiting from here on; only connecting was not to block
  io::UniqueFd supervisor(peer->pid > 0 ? open_process(peer->pid) : -1);
  return std::unique_ptr<Connection>(new Connection(std::move(*socket), std::move(supervisor)));
}

bool Connection::hung_up() const {
  pollfd entry{socket_.get(), POLLRDHUP, 0};
  return ::poll(&entry, 1, 0) > 0;
}

bool Connection::wait_for_exit(Deadline deadline) const {
  return supervisor_ && readable(supervisor_.get(), deadline);
}

Result<Json> Connection::call(std::string_view method, Json& params, Deadline deadline,
                              const EventHandler& on_event) {
  const std::int64_t id = ++last_id_;
  Json document = wire::make_request(id, method, std::move(params));
  const std::string request = wire::encode_frame(document, wire::Encoding::kMsgpack);
  params = std::move(document["params"]);
  Result<Json> reply = exchange({request, {}}, id, deadline, on_event);
  if (!reply && reply.error().code == ErrorCode::kUnresponsive && state_ == State::kAbandoned) {
    reply.error().message = "no answer to '" + std::string(method) + "' in time";
  }
  return reply;
}

Result<std::int64_t> Connection::send_write(const Json& params, std::string_view data, Deadline deadline) {
  const std::int64_t id = ++last_id_;
  const std::string head = wire::encode_request_head(id, "write", params, "data", data.size());
  Unsent unsent{head, data};
  for (send_some(unsent); !unsent.empty(); send_some(unsent)) {
    if (deadline.passed()) {
      state_ = State::kAbandoned;
      return fail(ErrorCode::kUnresponsive, "the supervisor does not take what is written");
    }
    pollfd entry{socket_.get(), POLLOUT, 0};
    ::poll(&entry, 1, deadline.poll_timeout());
  }
  return id;
}

Result<Json> Connection::answer(std::int64_t id, Deadline deadline) {
  return exchange({}, id, deadline, {});
}

Result<Json> Connection::exchange(Unsent unsent, std::int64_t id, Deadline deadline,
                                  const EventHandler& on_event) {
  if (!unsent.empty()) send_some(unsent);  // most requests fit: no need to ask before
  for (;;) {
    if (std::optional<Result<Json>> reply = take_reply(id, on_event)) {
      // Half a request that is answered already cannot be taken back.
      if (!unsent.empty() && state_ == State::kOpen) state_ = State::kAbandoned;
      return std::move(*reply);
    }
    if (at_end_) {
      state_ = State::kClosed;
      return fail(ErrorCode::kUnresponsive, "the supervisor closed the connection");
    }
    if (deadline.passed()) {
      state_ = State::kAbandoned;
      return fail(ErrorCode::kUnresponsive, "no answer in time");
    }
    if (unsent.empty()) {
      receive_some(deadline);
      continue;
    }
    pollfd entry{socket_.get(), POLLIN | POLLOUT, 0};
    if (::poll(&entry, 1, deadline.poll_timeout()) <= 0) continue;
    if ((entry.revents & POLLOUT) != 0) send_some(unsent);
    if ((entry.revents & ~POLLOUT) != 0) receive_some(deadline);
  }
}

// In the socket and not by poll(2), which would be one call more for each reply, and a dearer timer.
void Connection::limit_receiving(Deadline deadline) {
  const int limit_ms = deadline.poll_timeout();
  if (limit_ms == receive_limit_ms_) return;
  receive_limit_ms_ = limit_ms;
  // Nothing at all would be no limit.
  const timeval limit{limit_ms < 0 ? 0 : limit_ms / 1000, limit_ms < 0 ? 0 : limit_ms % 1000 * 1000 + 1};
  ::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
}

void Connection::send_some(Unsent& unsent) {
  iovec parts[] = {{const_cast<char*>(unsent.head.data()), unsent.head.size()},
                   {const_cast<char*>(unsent.data.data()), unsent.data.size()}};
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = std::size(parts);
  const ssize_t sent = ::sendmsg(socket_.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent >= 0) {
    const size_t of_head = std::min(unsent.head.size(), static_cast<size_t>(sent));
    unsent.head.remove_prefix(of_head);
    unsent.data.remove_prefix(static_cast<size_t>(sent) - of_head);
  } else if (errno != EAGAIN && errno != EINTR) {
    unsent = {};  // the peer has closed; what it said before is still to be read
  }
}

void Connection::receive_some(Deadline deadline) {
  limit_receiving(deadline);
  std::array<char, kReceiveStep> buffer;
  const ssize_t received = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
  if (received > 0) {
    framer_.feed({buffer.data(), static_cast<size_t>(received)});
  } else if (received == 0 || (errno != EAGAIN && errno != EINTR)) {
    at_end_ = true;
  }
}

std::optional<Result<Json>> Connection::take_reply(std::int64_t id, const EventHandler& on_event) {
  while (std::optional<Result<Json>> frame = framer_.next()) {
    if (!*frame) {
      state_ = State::kAbandoned;
      frame->error().message.insert(0, "the supervisor's reply: ");
      return frame;
    }
    Json& document = **frame;
    const Json reply_id = document.is_object() ? document.value("id", Json(nullptr)) : Json(nullptr);
    if (reply_id == id) return wire::parse_reply(std::move(document));
    if (!document.is_object()) continue;
    if (reply_id.is_null() && document.contains("error")) {
      state_ = State::kRefused;
      return wire::parse_reply(std::move(document));
    }
    if (!on_event || document.value("method", Json()) != "event") continue;
    if (Status taken = on_event(document.value("params", Json::object())); !taken) {
      state_ = State::kAbandoned;
      return Result<Json>(fail(std::move(taken).error()));
    }
  }
  return std::nullopt;
}

}  // namespace bgtask
