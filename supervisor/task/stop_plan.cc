#include "supervisor/task/stop_plan.h"

#include <cmath>

namespace bgtask::supervisor {

StopPlan stop_plan(const wire::LaunchSpec& spec, double default_grace, std::optional<double> grace,
                   std::optional<int> signal) {
  const double seconds = grace.value_or(spec.stop_grace.value_or(default_grace));
  return {{{signal.value_or(spec.stop_signal), static_cast<uint64_t>(std::ceil(seconds * 1000))}}};
}

}  // namespace bgtask::supervisor
