// Points in monotonic time until which something may take.
#pragma once

#include <bgtask/task.h>

#include <chrono>

namespace bgtask {

/// Never reached where the time given is too long to be counted in nanoseconds.
class Deadline {
 public:
  static Deadline never() { return Deadline(Clock::time_point::max()); }
  static Deadline after(Seconds time);

  bool passed() const;
  Seconds left() const;  ///< not negative
  /// For poll(2): milliseconds left, rounded up; -1 for "no limit".
  int poll_timeout() const;

 private:
  using Clock = std::chrono::steady_clock;
  explicit Deadline(Clock::time_point when) : when_(when) {}
  Clock::time_point when_;
};

/// Growing pauses between attempts at something the kernel tells nobody about (a full backlog, a full queue).
class Backoff {
 public:
  /// Sleeps, no longer than until the deadline; false if that had passed already.
  bool wait(Deadline deadline);

 private:
  int next_ms_ = 1;
};

}  // namespace bgtask
