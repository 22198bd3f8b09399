// What a test and the library preloaded into a supervisor share: a mapped file, named by the environment.
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
};

}  // namespace bgtask::faults
