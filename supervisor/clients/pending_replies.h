// Requests that wait for one outcome and are all answered with it.
#pragma once

#include <list>

#include "protocol/wire/message.h"
#include "supervisor/clients/connection.h"

namespace bgtask::supervisor {

class PendingReplies {
 public:
  void add(Connection& connection, wire::Request request);
  void answer(const Result<Json>& result);
  /// The connection is gone.
  void forget(const Connection& connection);

 private:
  struct Pending {
    Connection* connection;
    wire::Request request;
  };
  std::list<Pending> pending_;
  std::list<Pending> answering_;
};

}  // namespace bgtask::supervisor
