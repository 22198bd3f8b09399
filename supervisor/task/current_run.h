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
  };
  /// All of them must outlive the run. `output` may be made later, but before a run.
  CurrentRun(io::Loop& loop, Lifecycle& life, TaskProcesses& processes,
             const std::unique_ptr<OutputStreams>& output, StdinQueue& stdin_queue, Listener listener);

  /// Starts the command as the task `id`; `announce` as start_child has it.
  Status start(const wire::LaunchSpec& full, pid_t id, const OriginalProcess& original,
               const std::function<Status(pid_t)>& announce);
  /// The process `child`, whose exec is awaited, is about to become the command.
  Status announce(pid_t child);
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
  const io::UniqueFd& handle() const { return handle_; }
  uint64_t start_ticks() const { return start_ticks_; }
  /// Asks the kernel: the child may have ended without a report yet.
  bool child_lives() const;
  /// Asks the kernel too: a stop may not be reported yet, and that of an adopted child never is.
  bool child_stopped() const;
  /// Of the last run that ended, if it was our child.
  const std::optional<struct rusage>& usage() const { return usage_; }
  void forget_usage() { usage_.reset(); }

 private:
  void child_changed(const siginfo_t& change);
  void child_ended(Outcome outcome);

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
};

}  // namespace bgtask::supervisor
