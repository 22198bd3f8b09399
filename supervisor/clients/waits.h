// Requests that wait for something to happen.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <optional>
#include <string_view>

#include "protocol/io/uv_handles.h"
#include "protocol/wire/message.h"
#include "supervisor/clients/connection.h"

namespace bgtask::supervisor {

/// What is the case now; a wait fires by it, whenever it is looked at.
struct WaitFacts {
  bool exited = false;
  bool all_eof = false;
  uint64_t next = 1;  ///< cursor after the newest output
};

class Waits {
 public:
  /// `status` is for the replies.
  Waits(io::Loop& loop, std::function<WaitFacts()> facts, std::function<Json()> status)
      : loop_(loop), facts_(std::move(facts)), status_(std::move(status)) {}

  /// Answers at once where it can, else when it happens. busy where the client has too many.
  void add(Connection& connection, wire::Request request);
  /// Looks at all waits again: to be called after anything that could fire one.
  void check();
  /// The client is gone.
  void forget(const Connection& connection);

 private:
  struct Wait {
    Connection* connection;
    wire::Request request;
    bool exit, output, eof, with_status;
    uint64_t cursor;
    std::optional<uint64_t> due;  // milliseconds of the loop's clock
  };
  /// What there is to tell.
  struct Outcome {
    std::string_view fired;
    uint64_t next;
    bool with_status;
    bool operator==(const Outcome&) const = default;
  };
  /// Nothing where it is not time yet.
  std::optional<Outcome> outcome(const Wait& wait, const WaitFacts& facts) const;
  Json result(const Outcome& outcome) const;
  void arm();
  uint64_t now();

  io::Loop& loop_;
  std::function<WaitFacts()> facts_;
  std::function<Json()> status_;
  std::list<Wait> waits_;
  io::Timer timer_;
};

}  // namespace bgtask::supervisor
