#include "client/src/deadline.h"

#include <poll.h>

#include <algorithm>
#include <climits>

namespace bgtask {
namespace {

constexpr Seconds kForever{1e9};
constexpr int kLongestPauseMs = 50;

}  // namespace

Deadline Deadline::after(Seconds time) {
  if (time > kForever) return never();
  if (!(time > Seconds::zero())) return Deadline(Clock::now());
  return Deadline(Clock::now() + std::chrono::duration_cast<Clock::duration>(time));
}

bool Deadline::passed() const {
  return when_ != Clock::time_point::max() && Clock::now() >= when_;
}

Seconds Deadline::left() const {
  if (when_ == Clock::time_point::max()) return kForever;
  return std::max(Seconds::zero(), Seconds(when_ - Clock::now()));
}

int Deadline::poll_timeout() const {
  if (when_ == Clock::time_point::max()) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(when_ - Clock::now()).count();
  return static_cast<int>(std::clamp<decltype(left)>(left, 0, INT_MAX));
}

bool Backoff::wait(Deadline deadline) {
  if (deadline.passed()) return false;
  const int left = deadline.poll_timeout();
  ::poll(nullptr, 0, left < 0 ? next_ms_ : std::min(left, next_ms_));
  next_ms_ = std::min(next_ms_ * 2, kLongestPauseMs);
  return true;
}

}  // namespace bgtask
