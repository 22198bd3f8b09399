// What a task's state is and how it changes: a plain state machine, without processes, clocks or descriptors.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "protocol/taskdir/status_document.h"

namespace bgtask::supervisor {

enum class State { kStarting, kRunning, kPaused, kExited };

/// How a run of the command ended. Neither code nor signal: nobody could tell, `reason` says why.
struct Outcome {
  std::optional<int> exit_code;
  int signal = 0;
  bool core_dumped = false;
  std::string reason;
  bool operator==(const Outcome&) const = default;
};

/// The outcome in a status as waitpid gives it.
Outcome outcome_of_wait_status(int wait_status);

/// One task's life: started, stopped, continued, ended, started again. Every event returns whether anything
/// changed that has to be published. An event that makes no sense in a state changes nothing: signals
/// coalesce and reports may come late.
class Lifecycle {
 public:
  bool started(pid_t child, double now);
  bool stopped();
  bool continued();
  /// The child is gone, its pid forgotten; `ended` follows once its output is taken in.
  void reaped() { child_.reset(); }
  /// The running command was asked to end, for this reason ("stopped", "timeout"): that of its end, unless it
  /// ends for want of memory. Of several the first counts.
  void end_requested(const std::string& reason);
  bool ended(const Outcome& outcome, double now);

  State state() const { return state_; }
  bool alive() const { return state_ == State::kRunning || state_ == State::kPaused; }
  /// The un-reaped child; nothing before the start and after the end.
  std::optional<pid_t> child() const { return child_; }
  uint64_t runs() const { return runs_; }
  double started_at() const { return started_at_; }

  /// The part of the info document about state and end.
  taskdir::RunStatus status() const;
  /// Of the latest run; nothing while it lasts.
  std::optional<double> ended_at() const;

  /// Continues what a dead supervisor published.
  static Lifecycle resumed(const taskdir::StatusDocument& published, std::optional<pid_t> child);

 private:
  State state_ = State::kStarting;
  std::optional<pid_t> child_;
  uint64_t runs_ = 0;
  double started_at_ = 0;
  double ended_at_ = 0;
  Outcome outcome_;
  std::string requested_end_;  // reason; empty: the command was not asked to end
};

}  // namespace bgtask::supervisor
