// The conditions a `wait` can wait for, as pure functions: (wait, facts, now) → what fired, if anything.
//
// Adding one: a function of the type WaitCondition in a file of its own, and its place in the table of
// wait_conditions.cc. What it looks at is a member of WaitFacts, or of WaitTerms where the client gives it.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "protocol/wire/messages.h"

namespace bgtask::supervisor {

/// Current state of the task that wait conditions are evaluated against.
struct WaitFacts {
  bool exited = false;
  bool all_eof = false;
  uint64_t next = 1;  ///< cursor after the newest output
};

/// What a client waits for, and from where on.
struct WaitTerms {
  wire::WaitEvents events;
  uint64_t cursor = 0;
  std::optional<uint64_t> due;  ///< milliseconds of the loop's clock
};

/// What a wait ends with.
struct Fired {
  std::string_view event;
  uint64_t next = 0;
  bool operator==(const Fired&) const = default;
};

using WaitCondition = std::optional<Fired> (*)(const WaitTerms& terms, const WaitFacts& facts, uint64_t now);

/// The first condition that holds; nothing where none does yet. `now` in milliseconds of the loop's clock.
std::optional<Fired> first_fired(const WaitTerms& terms, const WaitFacts& facts, uint64_t now);

}  // namespace bgtask::supervisor
