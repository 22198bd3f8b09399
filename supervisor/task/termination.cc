#include "supervisor/task/termination.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <utility>

namespace bgtask::supervisor {
namespace {

// A process that is there after so long and so many rounds of KILL cannot be killed now. On a machine that is
// short of CPU time the time alone may pass between two looks, hence the rounds.
constexpr uint64_t kKillTimeMs = 3'000;
constexpr int kKillRounds = 25;
constexpr uint64_t kMostKillTimeMs = 8'000;  // clients wait for the answer
// Descendants of descendants do not announce their end to the supervisor: they are looked for, at first
// often.
constexpr uint64_t kLookMs = 20;
constexpr uint64_t kMostLookMs = 200;

// The steps before KILL.
std::vector<StopStep> asking_steps(const StopPlan& plan) {
  auto kill = std::find_if(plan.steps.begin(), plan.steps.end(),
                           [](const StopStep& step) { return step.signal == SIGKILL; });
  return {plan.steps.begin(), kill};
}

uint64_t total_wait(const std::vector<StopStep>& steps) {
  uint64_t total = 0;
  for (const StopStep& step : steps)
    total += step.wait_ms;
  return total;
}

}  // namespace

Termination::Effects Termination::begin(const StopPlan& plan, uint64_t now) {
  *this = Termination();
  steps_ = asking_steps(plan);
  if (steps_.empty()) return kill(now);
  phase_ = Phase::kAsking;
  return ask(now);
}

Termination::Effects Termination::join(const StopPlan& plan, uint64_t now) {
  if (phase_ != Phase::kAsking) return {};
  const uint64_t until_kill = now + total_wait(asking_steps(plan));
  uint64_t own = deadline_;
  for (size_t i = step_ + 1; i < steps_.size(); ++i)
    own += steps_[i].wait_ms;
  if (until_kill >= own) return {};
  if (until_kill < deadline_) deadline_ = until_kill;
  steps_.resize(step_ + 1);  // the steps after this one would come too late
  return {.look_in_ms = 0};
}

Termination::Effects Termination::ask(uint64_t now) {
  step_began_ = now;
  deadline_ = now + steps_[step_].wait_ms;
  return {.signal = steps_[step_].signal, .then_continue = true};
}

Termination::Effects Termination::kill(uint64_t now) {
  phase_ = Phase::kKilling;
  deadline_ = now + kKillTimeMs;
  rounds_left_ = kKillRounds;
  return kill_round();
}

Termination::Effects Termination::kill_round() {
  --rounds_left_;
  return {.signal = SIGKILL};
}

Termination::Effects Termination::signalled(const std::set<pid_t>& processes, bool complete, int error) {
  if (phase_ == Phase::kIdle) return {};
  if (phase_ == Phase::kKilling) {
    killed_.insert(processes.begin(), processes.end());
    if (steps_.empty()) signalled_ = killed_;
    return {.look_in_ms = kLookMs};
  }
  signalled_.insert(processes.begin(), processes.end());
  if (step_ == 0 && processes.empty() && !complete)
    return finish(StopResult::Kind::kNotSignalled, {{}, false, error, false});
  return {.look_in_ms = 0};
}

uint64_t Termination::until_next_look(uint64_t now) const {
  const uint64_t pause = std::clamp((now - step_began_) / 8, kLookMs, kMostLookMs);
  return std::min(pause, deadline_ - now);
}

Termination::Effects Termination::looked(const TreeView& view, uint64_t now) {
  if (phase_ == Phase::kIdle) return {};
  const bool none_left = view.alive.empty() && view.complete;
  if (none_left && view.command_reaped) return finish(StopResult::Kind::kStopped, view);
  if (phase_ == Phase::kAsking) {
    if (now < deadline_) return {.look_in_ms = until_next_look(now)};
    if (++step_ < steps_.size()) return ask(now);
    return kill(now);
  }
  const bool enough = rounds_left_ <= 0 || now >= deadline_ + kMostKillTimeMs - kKillTimeMs;
  if (now >= deadline_ && enough && !none_left) return finish(StopResult::Kind::kIncomplete, view);
  return kill_round();
}

Termination::Effects Termination::finish(StopResult::Kind kind, const TreeView& view) {
  StopResult result{kind, {}, view.complete ? 0 : (view.error != 0 ? view.error : EIO)};
  result.receipt.signalled = signalled_.size();
  result.receipt.exited = static_cast<uint64_t>(std::count_if(
      signalled_.begin(), signalled_.end(), [this](pid_t pid) { return !killed_.contains(pid); }));
  result.receipt.killed = killed_.size();
  result.receipt.survivors = view.alive;
  phase_ = Phase::kIdle;
  return {.result = std::move(result)};
}

}  // namespace bgtask::supervisor
