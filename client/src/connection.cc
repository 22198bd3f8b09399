#include "client/src/connection.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <iterator>
#include <optional>
#include <utility>

#include "client/src/supervisor_socket.h"
#include "protocol/wire/limits.h"

namespace bgtask {
namespace {

constexpr size_t kReceiveStep = 64 * 1024;
/// A reply is at most kMaxReply, but the info document, which holds the whole command, may be longer.
constexpr size_t kMaxFrame = wire::kMaxStatusFile;

Result<SupervisorSocket> connect_until(const TaskDirectory& task, Deadline deadline) {
  Backoff backoff;
  for (;;) {
    Result<SupervisorSocket> socket = connect_to_supervisor(task);
    if (socket || !may_connect_later(socket.error())) return socket;
    const Result<bool> alive = supervisor_alive(task);
    if (!alive) return fail(Failure(alive.error()));
    if (!*alive) return fail(supervisor_is_dead(task.id));
    if (!backoff.wait(deadline)) {
      return fail(ErrorCode::kUnresponsive, "the supervisor of task " + std::to_string(task.id) +
                                                " is alive but accepts no connection");
    }
  }
}

/// glibc 2.36 declares pidfd_open without C linkage.
int open_process(pid_t pid) {
  return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
}

bool wait_until_readable(int fd, Deadline deadline) {
  pollfd entry{fd, POLLIN, 0};
  for (;;) {
    const int ready = ::poll(&entry, 1, deadline.poll_timeout());
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return false;
    if (deadline.passed()) return false;
  }
}

}  // namespace

bool has_hung_up(int fd) {
  pollfd entry{fd, 0, 0};
  return fd >= 0 && ::poll(&entry, 1, 0) > 0 && (entry.revents & (POLLERR | POLLHUP)) != 0;
}

Connection::Connection(io::UniqueFd socket, io::UniqueFd supervisor)
    : socket_(std::move(socket)), supervisor_(std::move(supervisor)), session_(kMaxFrame) {}

Result<std::unique_ptr<Connection>> Connection::open(const TaskDirectory& task, Deadline deadline) {
  Result<SupervisorSocket> socket = connect_until(task, deadline);
  if (!socket) return fail(std::move(socket).error());
  ::fcntl(socket->fd.get(), F_SETFL, 0);  // only connecting must not block; receiving waits in the kernel
  io::UniqueFd supervisor(socket->supervisor > 0 ? open_process(socket->supervisor) : -1);
  return std::unique_ptr<Connection>(new Connection(std::move(socket->fd), std::move(supervisor)));
}

bool Connection::hung_up() const {
  pollfd entry{socket_.get(), POLLRDHUP, 0};
  return ::poll(&entry, 1, 0) > 0;
}

bool Connection::wait_for_exit(Deadline deadline) const {
  return supervisor_ && wait_until_readable(supervisor_.get(), deadline);
}

Result<Json> Connection::call(std::string_view method, Json& params, Deadline deadline,
                              const EventHandler& on_event) {
  const std::int64_t id = session_.request(method, params);
  Result<Json> reply = exchange(id, deadline, on_event);
  if (!reply && reply.error().code == ErrorCode::kUnresponsive && state_ == State::kAbandoned) {
    reply.error().message = "no answer to '" + std::string(method) + "' in time";
  }
  return reply;
}

Result<std::int64_t> Connection::send_write(const wire::WriteRequest& request, std::string_view data,
                                            Deadline deadline) {
  const wire::WriteHead head = wire::encode_head(request);
  const std::int64_t id =
      session_.request(wire::method_name(wire::MethodId::kWrite), head.params, head.data_key, data);
  for (send_some(); session_.has_unsent(); send_some()) {
    if (deadline.passed()) {
      session_.drop_unsent();
      state_ = State::kAbandoned;
      return fail(ErrorCode::kUnresponsive, "the supervisor does not take what is written");
    }
    pollfd entry{socket_.get(), POLLOUT, 0};
    ::poll(&entry, 1, deadline.poll_timeout());
  }
  return id;
}

Result<Json> Connection::answer(std::int64_t id, Deadline deadline) {
  return exchange(id, deadline, {});
}

Result<Json> Connection::exchange(std::int64_t id, Deadline deadline, const EventHandler& on_event) {
  if (session_.has_unsent()) send_some();  // most requests fit: no need to ask before
  for (;;) {
    if (std::optional<Result<Json>> reply = take_reply(id, on_event)) {
      // A request that is answered before it is sent whole cannot be taken back.
      if (session_.has_unsent() && state_ == State::kOpen) state_ = State::kAbandoned;
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
    if (!session_.has_unsent()) {
      if (hangup_of_ >= 0 && !readable(deadline)) {
        if (!has_hung_up(hangup_of_)) continue;
        state_ = State::kAbandoned;
        return fail(ErrorCode::kUnresponsive, "given up: the reader of the output has gone");
      }
      receive_some(deadline);
      continue;
    }
    pollfd entry{socket_.get(), POLLIN | POLLOUT, 0};
    if (::poll(&entry, 1, deadline.poll_timeout()) <= 0) continue;
    if ((entry.revents & POLLOUT) != 0) send_some();
    if ((entry.revents & ~POLLOUT) != 0) receive_some(deadline);
  }
}

// Waits as receive_some() does, and for the hangup besides. False if there is nothing to receive.
bool Connection::readable(Deadline deadline) {
  pollfd entries[] = {{socket_.get(), POLLIN, 0}, {hangup_of_, 0, 0}};
  if (::poll(entries, std::size(entries), deadline.poll_timeout()) <= 0) return false;
  if ((entries[1].revents & POLLNVAL) != 0) hangup_of_ = -1;  // not open: it would wake us for ever
  return entries[0].revents != 0;
}

// A limit of the socket instead of poll(2), which would be one call more for each reply, and a dearer timer.
void Connection::limit_receiving(Deadline deadline) {
  const int limit_ms = deadline.poll_timeout();
  if (limit_ms == receive_limit_ms_) return;
  receive_limit_ms_ = limit_ms;
  // Zero would be no limit.
  const timeval limit{limit_ms < 0 ? 0 : limit_ms / 1000, limit_ms < 0 ? 0 : limit_ms % 1000 * 1000 + 1};
  ::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
}

void Connection::send_some() {
  send_unsent(socket_.get(), session_);
}

void Connection::receive_some(Deadline deadline) {
  limit_receiving(deadline);
  const auto buffer =
      std::make_unique_for_overwrite<char[]>(kReceiveStep);  // not on the stack: it may be small
  const ssize_t received = ::recv(socket_.get(), buffer.get(), kReceiveStep, 0);
  if (received > 0) {
    session_.received({buffer.get(), static_cast<size_t>(received)});
  } else if (received == 0 || (errno != EAGAIN && errno != EINTR)) {
    at_end_ = true;
  }
}

// Replies to requests that were given up are skipped, and events that nobody asked for.
std::optional<Result<Json>> Connection::take_reply(std::int64_t id, const EventHandler& on_event) {
  while (std::optional<SessionMessage> message = session_.next()) {
    if (auto* reply = std::get_if<SessionReply>(&*message)) {
      if (reply->id == id) return std::move(reply->result);
    } else if (auto* broken = std::get_if<SessionBroken>(&*message)) {
      state_ = State::kAbandoned;
      return Result<Json>(fail(std::move(broken->failure)));
    } else if (auto* refusal = std::get_if<SessionRefusal>(&*message)) {
      state_ = State::kRefused;
      return Result<Json>(fail(std::move(refusal->failure)));
    } else if (on_event) {
      if (Status taken = on_event(std::move(std::get<SessionEvent>(*message).params)); !taken) {
        state_ = State::kAbandoned;
        return Result<Json>(fail(std::move(taken).error()));
      }
    }
  }
  return std::nullopt;
}

}  // namespace bgtask
