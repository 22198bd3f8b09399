#include "supervisor/task/lifecycle.h"

#include <sys/wait.h>

namespace bgtask::supervisor {
namespace {

taskdir::State published_state(State state) {
  switch (state) {
    case State::kStarting:
    case State::kRunning:
      return taskdir::State::kRunning;
    case State::kPaused:
      return taskdir::State::kPaused;
    case State::kExited:
      return taskdir::State::kExited;
  }
  __builtin_unreachable();
}

}  // namespace

Outcome outcome_of_wait_status(int wait_status) {
  Outcome outcome;
  if (WIFEXITED(wait_status)) {
    outcome.exit_code = WEXITSTATUS(wait_status);
  } else if (WIFSIGNALED(wait_status)) {
    outcome.signal = WTERMSIG(wait_status);
    outcome.core_dumped = WCOREDUMP(wait_status);
  }
  return outcome;
}

bool Lifecycle::started(pid_t child, double now) {
  if (alive()) return false;
  state_ = State::kRunning;
  child_ = child;
  started_at_ = now;
  ended_at_ = 0;
  outcome_ = Outcome{};
  requested_end_.clear();
  ++runs_;
  return true;
}

bool Lifecycle::stopped() {
  if (state_ != State::kRunning) return false;
  state_ = State::kPaused;
  return true;
}

bool Lifecycle::continued() {
  if (state_ != State::kPaused) return false;
  state_ = State::kRunning;
  return true;
}

void Lifecycle::end_requested(const std::string& reason) {
  if (child_ && requested_end_.empty()) requested_end_ = reason;
}

bool Lifecycle::ended(const Outcome& outcome, double now) {
  if (!alive()) return false;
  state_ = State::kExited;
  child_.reset();
  ended_at_ = now;
  outcome_ = outcome;
  // The null exit code and signal say already that the end is not known.
  const bool open = outcome.reason.empty() || outcome.reason == "unknown";
  if (open && !requested_end_.empty()) outcome_.reason = requested_end_;
  return true;
}

taskdir::RunStatus Lifecycle::status() const {
  return {.state = published_state(state_),
          .running = state_ != State::kExited,
          .paused = state_ == State::kPaused,
          .exit_code = outcome_.exit_code,
          .signal = outcome_.signal,
          .core_dumped = outcome_.core_dumped,
          .reason = outcome_.reason};
}

std::optional<double> Lifecycle::ended_at() const {
  return state_ == State::kExited ? std::optional(ended_at_) : std::nullopt;
}

Lifecycle Lifecycle::resumed(const taskdir::StatusDocument& published, std::optional<pid_t> child) {
  const taskdir::RunStatus& status = published.status;
  Lifecycle life;
  life.runs_ = published.runs;
  life.started_at_ = published.started_at;
  if (child) {
    life.child_ = child;
    life.state_ = status.paused ? State::kPaused : State::kRunning;
    return life;
  }
  life.state_ = State::kExited;
  life.outcome_ = {status.exit_code, status.signal, status.core_dumped, status.reason};
  life.ended_at_ = published.ended_at.value_or(0);
  return life;
}

}  // namespace bgtask::supervisor
