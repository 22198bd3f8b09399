#pragma once

#include <ctime>

namespace bgtask::supervisor {

/// Seconds since 1970.
inline double wall_clock() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

}  // namespace bgtask::supervisor
