#include "supervisor/clients/server.h"

#include <malloc.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "protocol/io/unix_socket.h"

namespace bgtask::supervisor {
namespace {

constexpr size_t kMaxConnections = 256;
constexpr size_t kReserved = 4;  // for clients that may change the task
constexpr size_t kMaxConnectionsOfAUser = 64;
constexpr int kAcceptsATurn = 16;
constexpr uint64_t kPauseMs = 100;

}  // namespace

Status Server::listen(Endpoint endpoint, io::UniqueFd fd) {
  Listening& listening = listening_[static_cast<size_t>(endpoint)];
  listening.poll.stop();
  listening.fd = std::move(fd);
  return listening.poll.start(loop_, listening.fd.get(), UV_READABLE,
                              [this, endpoint](int) { on_connect(endpoint); });
}

void Server::stop_listening() {
  pause_.stop();
  for (Listening& listening : listening_) {
    listening.poll.stop();
    listening.fd.reset();
  }
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

void Server::on_connect(Endpoint endpoint) {
  for (int i = 0; i < kAcceptsATurn && accept_one(endpoint); ++i) {
  }
}

// Takes the credentials that the kernel recorded at connect, once. A failure to get them is a refusal.
Peer Server::peer_of(const io::UniqueFd& fd, Endpoint endpoint) const {
  Peer peer;
  auto credentials = io::peer_credentials(fd.get());
  if (!credentials) return peer;
  peer.uid = credentials->uid;
  peer.pid = credentials->pid;
  bool owner = peer.uid == 0 || peer.uid == ::geteuid();
  bool watcher = endpoint == Endpoint::kRead && group_ && io::peer_in_group(fd.get(), *group_);
  peer.allowed = owner || watcher;
  peer.may_change = owner && endpoint == Endpoint::kControl;
  return peer;
}

bool Server::accept_one(Endpoint endpoint) {
  io::UniqueFd& listening = listening_[static_cast<size_t>(endpoint)].fd;
  io::UniqueFd fd(::accept4(listening.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!fd) {
    if (errno == EINTR || errno == ECONNABORTED) return true;
    if (errno != EAGAIN) pause_accepting();
    return false;
  }
  Peer peer = peer_of(fd, endpoint);
  Connection& connection = connections_.emplace_back(
      loop_, std::move(fd), peer, unread_,
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
  if (!peer.allowed) {
    connection.refuse({ErrorCode::kDenied, "this task belongs to another user", 0, nullptr});
  } else if (!admit(connection)) {
    connection.refuse({ErrorCode::kBusy, "too many connections: close some, or try again later", 0, nullptr});
  }
  return true;
}

bool Server::admit(Connection& connection) {
  auto of_user = std::count_if(connections_.begin(), connections_.end(), [&](const Connection& other) {
    return !other.closed() && other.peer().uid == connection.peer().uid;
  });
  bool reserved = connection.peer().may_change;
  return clients() <= (reserved ? kMaxConnections : kMaxConnections - kReserved) &&
         static_cast<size_t>(of_user) <= kMaxConnectionsOfAUser;
}

// Without descriptors accept fails and the socket stays readable. The pause keeps the loop from spinning.
void Server::pause_accepting() {
  auto set_events = [this](int events) {
    for (Listening& listening : listening_)
      listening.poll.set_events(events);
  };
  set_events(0);
  pause_.start(loop_, kPauseMs, [set_events] { set_events(UV_READABLE); });
}

void Server::sweep() {
  bool large = false;
  connections_.remove_if([&](const Connection& connection) {
    large = large || (connection.closed() && connection.was_large());
    return connection.closed();
  });
  if (large) ::malloc_trim(0);  // else the heap keeps the scattered buffers
}

}  // namespace bgtask::supervisor
