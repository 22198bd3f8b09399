// Requests that are answered when a condition holds.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <optional>

#include "protocol/io/uv_handles.h"
#include "protocol/wire/encoded_result.h"
#include "protocol/wire/message.h"
#include "protocol/wire/messages.h"
#include "supervisor/clients/connection.h"
#include "supervisor/clients/wait_conditions.h"

namespace bgtask::supervisor {

class Waits {
 public:
  /// `status` gives the task's status for replies.
  Waits(io::Loop& loop, std::function<WaitFacts()> facts, std::function<Json()> status)
      : loop_(loop), facts_(std::move(facts)), status_(std::move(status)) {}

  /// Answers at once if a condition holds, else when one does. busy if the client has too many waits.
  void add(Connection& connection, wire::Request envelope, const wire::WaitRequest& request);
  /// Evaluates all waits again: to be called after anything that could fire one.
  void check();
  /// Drops the waits of a client that is gone.
  void forget(const Connection& connection);

 private:
  struct Wait {
    Connection* connection;
    wire::Request envelope;
    WaitTerms terms;
    bool with_status;
  };
  /// A reply that several waits share.
  struct Told {
    Fired fired;
    bool with_status;
    wire::EncodedResult result;
  };
  wire::EncodedResult encoded(const Fired& fired, bool with_status) const;
  void arm();
  uint64_t now();

  io::Loop& loop_;
  std::function<WaitFacts()> facts_;
  std::function<Json()> status_;
  std::list<Wait> waits_;
  io::Timer timer_;
};

}  // namespace bgtask::supervisor
