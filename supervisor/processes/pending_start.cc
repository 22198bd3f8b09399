#include "supervisor/processes/pending_start.h"

#include <sys/wait.h>

#include <utility>

namespace bgtask::supervisor {
namespace {

constexpr uint64_t kKillTimeMs = 1'000;  // a killed process takes longer only if the kernel holds it

}  // namespace

PendingStart::PendingStart(io::Loop& loop, ForkedChild child, wire::LaunchSpec spec, Listener listener)
    : loop_(loop), child_(std::move(child)), spec_(std::move(spec)), listener_(std::move(listener)) {}

Status PendingStart::begin() {
  Status begun = report_.start(loop_, child_.report_fd(), UV_READABLE, [this](int) { look_at_report(); });
  if (begun) begun = child_.proceed();
  if (!begun) {
    report_.stop();
    child_.end();  // it was held, and so dies at once
    return begun;
  }
  deadline_.start(loop_, kExecTimeoutMs, [this] { give_up(exec_timed_out(spec_.exec.front())); });
  return {};
}

void PendingStart::give_up(Failure why) {
  if (!failure_) failure_ = std::move(why);
  child_.kill();
  await_end();
}

// Whether the command runs: then this object may be gone.
bool PendingStart::look_at_report() {
  report_.stop();
  auto outcome = child_.outcome(spec_);
  if (outcome) {
    deadline_.stop();
    const auto started = listener_.started;  // a copy, for it may destroy this object
    started(std::move(*outcome));
    return true;
  }
  give_up(std::move(outcome).error());
  return false;
}

// The failure is told with the end of the process, so that nothing is left of it then.
void PendingStart::await_end() {
  deadline_.start(loop_, kKillTimeMs, [this] { listener_.failed(*failure_, false); });
}

void PendingStart::child_changed(const siginfo_t& change) {
  siginfo_t taken{};
  const bool ended =
      change.si_code == CLD_EXITED || change.si_code == CLD_KILLED || change.si_code == CLD_DUMPED;
  if (!ended) {
    ::waitid(P_PID, static_cast<id_t>(pid()), &taken, WSTOPPED | WCONTINUED | WNOHANG);
    return;
  }
  // The report comes before the end: a command that ended as soon as it ran has run.
  if (report_ && look_at_report()) return;
  ::waitid(P_PID, static_cast<id_t>(pid()), &taken, WEXITED | WNOHANG);
  const auto failed = listener_.failed;
  failed(Failure(*failure_), true);
}

}  // namespace bgtask::supervisor
