// Tells what a reader cannot have any more apart: lost, or taken by a consuming read before.
#pragma once

#include <cstdint>

#include "protocol/ring/format.h"

namespace bgtask::ring {

/// One stream as one reader has come to know it. A ring's counters say how much of everything below `start`
/// was lost, not which part. With what they were when the reader looked last, what lies between its position
/// and `start` can be told apart: exactly, unless between two looks some was consumed and some was lost.
class LossAccount {
 public:
  /// For a reader whose past is not known.
  LossAccount() = default;
  /// For a reader who begins at the beginning.
  static LossAccount from_beginning();

  struct Missing {
    uint64_t lost = 0;
    uint64_t taken = 0;
  };
  /// [from, from + count) cannot be had; `now` are the ring's counters after that was found.
  Missing count(uint64_t from, uint64_t count, const Positions& now);
  /// The reader has come to `position`, everything below given or counted.
  void settle(uint64_t position, const Positions& now);

  bool operator==(const LossAccount&) const = default;

 private:
  bool known_ = false;
  uint64_t lost_ = 0;      // of what lies below the reader's position
  uint64_t consumed_ = 0;  // nothing below this can be lost any more
};

/// The same for a reader who keeps nothing. What begins at 0 is told apart exactly.
LossAccount::Missing missing(uint64_t from, uint64_t count, const Positions& now);

}  // namespace bgtask::ring
