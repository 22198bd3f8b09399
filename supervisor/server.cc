#include "supervisor/server.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "protocol/io/unix_socket.h"

namespace bgtask::supervisor {
namespace {

constexpr size_t kMaxConnections = 256;
constexpr size_t kMaxConnectionsOfAUser = 64;
constexpr int kAcceptsATurn = 16;
constexpr uint64_t kPauseMs = 100;

}  // namespace

Status Server::start(io::UniqueFd listening) {
  listening_ = std::move(listening);
  return poll_.start(loop_, listening_.get(), UV_READABLE, [this](int) { on_connect(); });
}

void Server::stop_listening() {
  poll_.stop();
  pause_.stop();
  listening_.reset();
}

uint64_t Server::clients() const {
  return static_cast<uint64_t>(std::count_if(connections_.begin(), connections_.end(),
                                             [](const Connection& c) { return !c.closed(); }));
}

void Server::for_each(const std::function<void(Connection&)>& visit) {
  for (Connection& connection : connections_) {
    if (!connection.closed()) visit(connection);
  }
}

void Server::on_connect() {
  for (int i = 0; i < kAcceptsATurn && accept_one(); ++i) {
  }
}

bool Server::accept_one() {
  io::UniqueFd fd(::accept4(listening_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!fd) {
    if (errno == EINTR || errno == ECONNABORTED) return true;
    if (errno != EAGAIN) pause_accepting();
    return false;
  }
  // Who asks is settled here, once, by what the kernel recorded at connect. No answer is a refusal.
  auto peer = io::peer_credentials(fd.get());
  bool allowed = peer && (peer->uid == 0 || peer->uid == ::geteuid());
  uid_t uid = peer ? peer->uid : static_cast<uid_t>(-1);
  Connection& connection = connections_.emplace_back(
      loop_, std::move(fd), uid,
      Connection::Listener{[this](Connection& c, wire::Request r) { listener_.request(c, std::move(r)); },
                           [this](Connection& c) { listener_.writable(c); },
                           [this](Connection& c) {
                             listener_.gone(c);
                             sweep_.start(loop_, 0, [this] { sweep(); });
                           }});
  if (Status started = connection.start(); !started) {
    connections_.pop_back();
    return true;
  }
  if (!allowed) {
    connection.refuse({ErrorCode::kDenied, "this task belongs to another user", 0, nullptr});
  } else if (!admit(connection)) {
    connection.refuse({ErrorCode::kBusy, "too many connections: close some, or try again later", 0, nullptr});
  }
  return true;
}

bool Server::admit(Connection& connection) {
  auto of_user = std::count_if(connections_.begin(), connections_.end(), [&](const Connection& other) {
    return !other.closed() && other.uid() == connection.uid();
  });
  return clients() <= kMaxConnections && static_cast<size_t>(of_user) <= kMaxConnectionsOfAUser;
}

// Out of descriptors the socket stays readable: without a pause the loop would do nothing but fail to accept.
void Server::pause_accepting() {
  poll_.set_events(0);
  pause_.start(loop_, kPauseMs, [this] { poll_.set_events(UV_READABLE); });
}

void Server::sweep() {
  connections_.remove_if([](const Connection& connection) { return connection.closed(); });
}

}  // namespace bgtask::supervisor
