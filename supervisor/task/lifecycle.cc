#include "supervisor/task/lifecycle.h"

#include <sys/wait.h>

#include "protocol/wire/signals.h"

namespace bgtask::supervisor {
namespace {

const char* state_word(State state) {
  switch (state) {
    case State::kStarting:
    case State::kRunning:
      return "running";
    case State::kPaused:
      return "paused";
    case State::kExited:
      return "exited";
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

Json Lifecycle::status() const {
  Json status = Json::object();  // not a list of pairs, which is slow: each reply to a wait has a status
  status["state"] = state_word(state_);
  status["running"] = state_ != State::kExited;
  status["paused"] = state_ == State::kPaused;
  status["exit_code"] = outcome_.exit_code ? Json(*outcome_.exit_code) : Json(nullptr);
  status["signal"] = outcome_.signal != 0 ? Json(wire::signal_name(outcome_.signal)) : Json(nullptr);
  status["core_dumped"] = outcome_.core_dumped;
  status["reason"] = outcome_.reason.empty() ? Json(nullptr) : Json(outcome_.reason);
  return status;
}

Json Lifecycle::ended_at() const {
  return state_ == State::kExited ? Json(ended_at_) : Json(nullptr);
}

Lifecycle Lifecycle::resumed(const Json& info, std::optional<pid_t> child) {
  Lifecycle life;
  life.runs_ = info.value("runs", uint64_t{1});
  life.started_at_ = info.value("started_at", 0.0);
  const Json& status = info.at("status");
  if (child) {
    life.child_ = child;
    life.state_ = status.value("paused", false) ? State::kPaused : State::kRunning;
    return life;
  }
  life.state_ = State::kExited;
  const Json& code = status.at("exit_code");
  const Json& signal = status.at("signal");
  if (code.is_number_integer()) life.outcome_.exit_code = code.get<int>();
  if (signal.is_string()) life.outcome_.signal = wire::signal_number(signal).value_or(0);
  life.outcome_.core_dumped = status.value("core_dumped", false);
  if (status.at("reason").is_string()) life.outcome_.reason = status.at("reason").get<std::string>();
  const Json& ended_at = info.at("ended_at");
  if (ended_at.is_number()) life.ended_at_ = ended_at.get<double>();
  return life;
}

}  // namespace bgtask::supervisor
