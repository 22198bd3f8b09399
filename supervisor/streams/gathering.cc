#include "supervisor/streams/gathering.h"

namespace bgtask::supervisor {
namespace {

constexpr uint32_t kWakeUps = 4;        // in a millisecond
constexpr uint64_t kLeast = 4096;       // bytes in a millisecond: fewer are not worth it
constexpr uint64_t kMost = 256 * 1024;  // bytes in these wake-ups: more would fill the largest pipe (1 MiB)
constexpr uint64_t kPauseMs = 20;       // after the pipe was full, or nearly

}  // namespace

bool Gathering::after_wake_up(uint64_t taken, bool in_a_row, uint64_t now_ms) {
  if (!in_a_row || this_ms_ != now_ms) {
    this_ms_ = now_ms;
    wake_ups_ = 0;
    bytes_ = 0;
  }
  ++wake_ups_;
  bytes_ += taken;
  return wake_ups_ >= kWakeUps && bytes_ >= kLeast && bytes_ < kMost && now_ms >= not_before_ms_;
}

bool Gathering::after_gathering(uint64_t taken, uint64_t pipe_size, uint64_t now_ms) {
  if (taken > pipe_size / 16 * 15) {
    not_before_ms_ = now_ms + kPauseMs;
    return false;
  }
  return taken >= kLeast;
}

}  // namespace bgtask::supervisor
