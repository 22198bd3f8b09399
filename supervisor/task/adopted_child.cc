#include "supervisor/task/adopted_child.h"

namespace bgtask::supervisor {
namespace {

constexpr uint64_t kReapedRetryMs = 10;
constexpr int kReapedTries = 100;

}  // namespace

Status AdoptedChild::watch(const io::UniqueFd& pidfd) {
  pidfd_ = &pidfd;
  return poll_.start(loop_, pidfd.get(), UV_READABLE, [this](int) {
    poll_.stop();
    listener_.gone();
    settle(kReapedTries);
  });
}

// The kernel tells how a process ended once its parent, which is not this process, has reaped it.
void AdoptedChild::settle(int tries) {
  ExitStatus status = exit_status_of(*pidfd_);
  if (status.kind == ExitStatus::Kind::kNotYet && tries > 0) {
    retry_.start(loop_, kReapedRetryMs, [this, tries] { settle(tries - 1); });
    return;
  }
  bool known = status.kind == ExitStatus::Kind::kKnown;
  listener_.settled(known ? outcome_of_wait_status(status.wait_status) : Outcome{{}, 0, false, "unknown"});
}

}  // namespace bgtask::supervisor
