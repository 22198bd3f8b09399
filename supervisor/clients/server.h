// The listening sockets and the connections of clients.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <optional>

#include "protocol/io/unique_fd.h"
#include "protocol/io/uv_handles.h"
#include "supervisor/clients/connection.h"
#include "supervisor/task/task_files.h"

namespace bgtask::supervisor {

class Server {
 public:
  struct Listener {
    std::function<void(Connection&, wire::Request)> request;
    std::function<void(Connection&)> writable;
    std::function<void(Connection&)> gone;  ///< drop all references to it
  };

  Server(io::Loop& loop, Listener listener) : loop_(loop), listener_(std::move(listener)) {}

  /// The group whose members may use the read endpoint, beside the owner and root.
  void set_group(std::optional<gid_t> group) { group_ = group; }
  /// Accepts on the endpoint. A second call replaces the socket.
  Status listen(Endpoint endpoint, io::UniqueFd listening);
  /// Closes the listening sockets.
  void stop_listening();
  uint64_t clients() const;
  void for_each(const std::function<void(Connection&)>& visit);
  /// Frees closed connections. Must not be called from a callback of one.
  void sweep();

 private:
  struct Listening {
    io::UniqueFd fd;
    io::Poll poll;
  };
  void on_connect(Endpoint endpoint);
  bool accept_one(Endpoint endpoint);
  Peer peer_of(const io::UniqueFd& fd, Endpoint endpoint) const;
  bool admit(Connection& connection);
  void pause_accepting();

  io::Loop& loop_;
  Listener listener_;
  Listening listening_[std::size(kEndpoints)];
  std::optional<gid_t> group_;
  io::Timer pause_;
  io::Timer sweep_;
  Unread unread_;
  std::list<Connection> connections_;
};

}  // namespace bgtask::supervisor
