// The command's current run: starts its process, reaps it, and reports its end once its output is taken in.
#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <csignal>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "protocol/io/uv_handles.h"
#include "protocol/wire/launch.h"
#include "supervisor/processes/child.h"
#include "supervisor/processes/pending_start.h"
#include "supervisor/streams/output_streams.h"
#include "supervisor/streams/stdin_queue.h"
#include "supervisor/task/adopted_child.h"
#include "supervisor/task/lifecycle.h"
#include "supervisor/task/task_processes.h"

namespace bgtask::supervisor {

class CurrentRun {
 public:
  struct Listener {
    std::function<void()> changed;  ///< the lifecycle's state changed
    std::function<void()> ended;    ///< ... to exited
    /// The start that start_again() began is over. On failure the state is again what it was, unless the
    /// kernel still holds the killed process.
    std::function<void(const Status&)> restarted;
  };
  /// All of them must outlive the run. `output` may be made later, but before a run.
  CurrentRun(io::Loop& loop, Lifecycle& life, TaskProcesses& processes,
             const std::unique_ptr<OutputStreams>& output, StdinQueue& stdin_queue, Listener listener);

  /// Starts the command as the task `id`, and waits until its exec has succeeded: no client is served yet.
  Status start(const wire::LaunchSpec& full, pid_t id, const OriginalProcess& original);
  /// Begins to start an ended command again. From its fork on the command counts as running; the event loop
  /// awaits its exec, and Listener::restarted is told the outcome.
  Status start_again(wire::LaunchSpec full, pid_t id, const OriginalProcess& original);
  /// Whether an exec is awaited.
  bool starting() const { return pending_start_.has_value(); }
  /// Kills the process whose exec is awaited, if any; `why` is its outcome.
  void give_up_start(Failure why);
  /// Goes on with a child of a dead supervisor. `lock` may be none.
  Status adopt(PublishedChild child, io::UniqueFd lock);

  /// Looks at all children that changed state: to be called on SIGCHLD.
  void reap();
  /// Publishes the exit once output is drained; with `whatever_is_left` at once.
  void settle_end(bool whatever_is_left);
  /// Asks the kernel whether an adopted child was stopped or continued, which nobody reports.
  void refresh_adopted_state();

  /// Not our child: it was started by a former supervisor.
  bool adopted() const { return adopted_; }
  /// A pidfd of the un-reaped child; none without one.
  const io::UniqueFd& handle() const { return pending_start_ ? pending_start_->handle() : handle_; }
  uint64_t start_ticks() const { return start_ticks_; }
  /// Of the pipe of stdout or stderr, also while an exec is awaited; 0 without one.
  uint64_t pipe_inode(StreamId stream) const;
  /// Asks the kernel: the child may have ended without a report yet.
  bool child_lives() const;
  /// Asks the kernel too: a stop may not be reported yet, and that of an adopted child never is.
  bool child_stopped() const;
  /// Of the last run that ended, if it was our child.
  const std::optional<struct rusage>& usage() const { return usage_; }

 private:
  Status begin_pending_start(ForkedChild forked, wire::LaunchSpec full);
  void restore();
  void start_failed(const Failure& failure, bool reaped);
  Status use(StartedChild child);
  void child_changed(const siginfo_t& change);
  void child_ended(Outcome outcome);

  io::Loop& loop_;
  Lifecycle& life_;
  TaskProcesses& processes_;
  const std::unique_ptr<OutputStreams>& output_;
  StdinQueue& stdin_;
  Listener listener_;
  bool adopted_ = false;
  io::UniqueFd handle_;
  uint64_t start_ticks_ = 0;
  io::UniqueFd lock_file_;
  std::optional<Outcome> pending_end_;
  std::optional<struct rusage> usage_;
  AdoptedChild adopted_child_;
  std::optional<PendingStart> pending_start_;
  Lifecycle before_start_;  // restored if the pending start fails
};

}  // namespace bgtask::supervisor
