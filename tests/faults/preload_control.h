// Mapped file shared by a test and the library preloaded into a supervisor; the environment names it.
#pragma once

#include <atomic>
#include <cstdint>

namespace bgtask::faults {

inline constexpr char kControlVariable[] = "BGTASK_FAULTS_CONTROL";

struct PreloadControl {
  /// Allocations to let pass before one fails; negative: none fails.
  std::atomic<int64_t> allocations_left;
  /// How many fail from then on (1: only that one).
  std::atomic<int64_t> failures_left;
  /// Allocations seen since the test set this to 0.
  std::atomic<int64_t> allocations_seen;
  std::atomic<int64_t> failures;
  /// Added to the wall clock, in seconds.
  std::atomic<int64_t> clock_offset;
  /// Number of calls known to preload.cc that the forked child made before its exec. Call number child_call
  /// (from 1; 0: none) fails with child_errno, or kills the child if that is negative.
  std::atomic<int64_t> child_calls_seen;
  std::atomic<int64_t> child_call;
  std::atomic<int64_t> child_errno;
};

}  // namespace bgtask::faults
