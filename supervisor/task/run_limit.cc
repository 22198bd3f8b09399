#include "supervisor/task/run_limit.h"

#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <ctime>

namespace bgtask::supervisor {

double boot_clock() {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

double seconds_since_boot(uint64_t ticks) {
  return static_cast<double>(ticks) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

Status RunLimit::prepare() {
  timer_.reset(::timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC));
  if (!timer_) return fail_errno("cannot make the timer of the run-time limit", errno);
  return poll_.start(loop_, timer_.get(), UV_READABLE, [this](int) {
    uint64_t expirations = 0;
    if (::read(timer_.get(), &expirations, sizeof expirations) == sizeof expirations) expired_();
  });
}

void RunLimit::arm(double deadline) {
  constexpr double kEarliest = 1e-3;  // 0 would disarm it
  set(std::max(deadline, kEarliest));
}

void RunLimit::disarm() {
  if (timer_) set(0);
}

void RunLimit::set(double deadline) {
  itimerspec when{};
  const double whole = std::floor(deadline);
  when.it_value.tv_sec = static_cast<time_t>(whole);
  when.it_value.tv_nsec = static_cast<long>((deadline - whole) * 1e9);
  ::timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &when, nullptr);
}

}  // namespace bgtask::supervisor
