// Starting the command: own fork and exec, with a close-on-exec pipe that tells the outcome of the exec.
#pragma once

#include <sys/types.h>

#include <string>

#include "protocol/io/unique_fd.h"
#include "protocol/wire/launch.h"
#include "protocol/wire/result.h"
#include "supervisor/processes/child_exec.h"
#include "supervisor/processes/child_streams.h"
#include "supervisor/processes/control_group.h"

namespace bgtask::supervisor {

/// A process that runs the command.
struct StartedChild {
  pid_t pid = -1;
  uint64_t start_ticks = 0;  ///< with the pid it identifies the process for a later adopter
  io::UniqueFd pidfd;
  ChildStreams streams;
};

/// How long an exec may take before it is given up.
inline constexpr int kExecTimeoutMs = 20'000;

/// A process that was forked to execute spec.exec in a session and process group of its own. It dies with
/// this process as long as it has not executed the command.
class ForkedChild {
 public:
  enum class Begin {
    kAtOnce,
    kHeld,  ///< the process does nothing before proceed()
  };
  /// Forks, into the control group if there is one. process_limit, too_many_files, no_memory, denied
  /// otherwise, with nothing left. `task_id` is the supervisor's pid as the child's environment names it.
  static Result<ForkedChild> fork(const wire::LaunchSpec& spec, pid_t task_id,
                                  const OriginalProcess& original, const ControlGroup* group, Begin begin);

  pid_t pid() const { return child_.pid; }
  const io::UniqueFd& handle() const { return child_.pidfd; }
  const ChildStreams& streams() const { return child_.streams; }
  /// Readable once the exec has succeeded or failed, and when the process has ended.
  int report_fd() const { return report_.get(); }

  /// Lets a held process go on.
  Status proceed();
  /// To be called once report_fd() is readable, never blocks. The child, if its exec succeeded; else
  /// exec_failed, bad_argument (limits, nice), denied (user) and so on, and the process still has to be
  /// ended.
  Result<StartedChild> outcome(const wire::LaunchSpec& spec);

  /// Sends KILL.
  void kill() const;
  /// Sends KILL and waits for the end. Not for the event loop once the process may be in its exec, which the
  /// kernel may hold up.
  void end() const;

 private:
  StartedChild child_;
  io::UniqueFd report_;
  io::UniqueFd leave_;
};

/// Starts the command and waits until its exec has succeeded. For the first start, when no client is served
/// yet. On failure nothing is left.
Result<StartedChild> start_child(const wire::LaunchSpec& spec, pid_t task_id, const OriginalProcess& original,
                                 const ControlGroup* group);

/// "executing 'COMMAND' did not finish in time".
Failure exec_timed_out(const std::string& command);

}  // namespace bgtask::supervisor
