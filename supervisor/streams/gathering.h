// When the small pieces of a pipe are left to gather for a moment.
#pragma once

#include <cstdint>

namespace bgtask::supervisor {

/// Many small pieces cost more in wake-ups, of the supervisor and of the writer, than in copying. Where one
/// pipe alone wakes the loop again and again, its bytes are taken once in kTimeMs. Decides only: time is an
/// argument, in milliseconds of one monotonic clock.
class Gathering {
 public:
  static constexpr uint64_t kTimeMs = 1;

  /// The pipe woke the loop and `taken` bytes were in it; `in_a_row`: no other pipe woke the loop since it
  /// last did. Whether to leave it for kTimeMs now.
  bool after_wake_up(uint64_t taken, bool in_a_row, uint64_t now_ms);
  /// After kTimeMs `taken` bytes were in the pipe, which holds `pipe_size`. Whether to leave it again.
  bool after_gathering(uint64_t taken, uint64_t pipe_size, uint64_t now_ms);

 private:
  uint64_t this_ms_ = 0;  // the millisecond in which the wake-ups below were
  uint32_t wake_ups_ = 0;
  uint64_t bytes_ = 0;
  uint64_t not_before_ms_ = 0;  // the pipe filled up while it was left
};

}  // namespace bgtask::supervisor
