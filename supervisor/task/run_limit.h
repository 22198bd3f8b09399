// The run-time limit of a task: rings once a run has lasted its time, on the boot clock, which neither steps
// of the wall clock nor a suspended machine disturb.
#pragma once

#include <cstdint>
#include <functional>

#include "protocol/io/unique_fd.h"
#include "protocol/io/uv_handles.h"
#include "protocol/wire/result.h"

namespace bgtask::supervisor {

class RunLimit {
 public:
  RunLimit(io::Loop& loop, std::function<void()> expired) : loop_(loop), expired_(std::move(expired)) {}

  /// Makes the timer, so that arming it cannot fail later.
  Status prepare();
  /// Rings at that time of the boot clock, in seconds; at once if it has passed. Only after prepare().
  void arm(double deadline);
  void disarm();

 private:
  void set(double deadline);

  io::Loop& loop_;
  std::function<void()> expired_;
  io::UniqueFd timer_;
  io::Poll poll_;
};

/// Now, on the boot clock, in seconds.
double boot_clock();
/// The boot clock's time in a process's start time as /proc shows it.
double seconds_since_boot(uint64_t ticks);

}  // namespace bgtask::supervisor
