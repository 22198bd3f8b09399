#include "protocol/ring/loss_account.h"

#include <algorithm>

namespace bgtask::ring {
namespace {

uint64_t above(uint64_t value, uint64_t floor) {
  return value > floor ? value - floor : 0;
}

}  // namespace

LossAccount LossAccount::from_beginning() {
  LossAccount account;
  account.known_ = true;
  return account;
}

LossAccount::Missing LossAccount::count(uint64_t from, uint64_t count, const Positions& now) {
  // What is still within the ring and yet not to be had was overwritten, or never written.
  const uint64_t dropped = std::min(count, above(now.start, from));
  uint64_t lost = now.lost;
  if (known_) {
    // Of what was lost since the last look, some may be what the reader had been given by then.
    const uint64_t given = above(from, consumed_);
    lost = above(above(now.lost, lost_), given);
  }
  lost = std::min(lost, dropped) + (count - dropped);
  lost_ += lost;
  settle(from + count, now);
  return {lost, count - lost};
}

LossAccount::Missing missing(uint64_t from, uint64_t count, const Positions& now) {
  LossAccount account = from == 0 ? LossAccount::from_beginning() : LossAccount();
  return account.count(from, count, now);
}

void LossAccount::settle(uint64_t position, const Positions& now) {
  if (position >= now.start) {
    known_ = true;
    lost_ = now.lost;
    consumed_ = now.consumed;
  } else {
    consumed_ = std::max(consumed_, position);
  }
}

}  // namespace bgtask::ring
