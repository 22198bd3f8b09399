// The listening socket and the clients.
#pragma once

#include <cstdint>
#include <functional>
#include <list>

#include "protocol/io/unique_fd.h"
#include "protocol/io/uv_handles.h"
#include "supervisor/connection.h"

namespace bgtask::supervisor {

class Server {
 public:
  struct Listener {
    std::function<void(Connection&, wire::Request)> request;
    std::function<void(Connection&)> writable;
    std::function<void(Connection&)> gone;  ///< forget everything about it
  };

  Server(io::Loop& loop, Listener listener) : loop_(loop), listener_(std::move(listener)) {}

  Status start(io::UniqueFd listening);
  /// Accepts nobody any more.
  void stop_listening();
  uint64_t clients() const;
  void for_each(const std::function<void(Connection&)>& visit);
  /// Frees connections that closed. Never called from within one of their callbacks.
  void sweep();

 private:
  void on_connect();
  bool accept_one();
  bool admit(Connection& connection);
  void pause_accepting();

  io::Loop& loop_;
  Listener listener_;
  io::UniqueFd listening_;
  io::Poll poll_;
  io::Timer pause_;
  io::Timer sweep_;
  std::list<Connection> connections_;
};

}  // namespace bgtask::supervisor
