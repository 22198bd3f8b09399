// How a task's processes are ended: the signals that ask them to, and how long each is given. KILL comes
// after the last one.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "protocol/wire/launch.h"

namespace bgtask::supervisor {

struct StopStep {
  int signal = 0;
  uint64_t wait_ms = 0;  ///< for all processes to end, before the next step
};

struct StopPlan {
  std::vector<StopStep> steps;
};

/// `status.reason` of a command that was ended on request, and at the run-time limit.
inline constexpr char kReasonStopped[] = "stopped";
inline constexpr char kReasonTimeout[] = "timeout";

inline constexpr double kStopGrace = 10;   ///< seconds, of `stop` and of a run's timeout
inline constexpr double kDeleteGrace = 3;  ///< of `delete`

/// The task's own plan. What the request does not say comes from the task's options, else the default grace.
StopPlan stop_plan(const wire::LaunchSpec& spec, double default_grace, std::optional<double> grace = {},
                   std::optional<int> signal = {});

}  // namespace bgtask::supervisor
