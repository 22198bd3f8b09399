// The start of a command whose exec the event loop awaits.
#pragma once

#include <csignal>
#include <functional>
#include <optional>
#include <string>

#include "protocol/io/uv_handles.h"
#include "protocol/wire/launch.h"
#include "supervisor/processes/child.h"

namespace bgtask::supervisor {

/// Owns the forked process from its fork until its exec has succeeded, or until the process has ended and is
/// reaped. An exec that takes longer than kExecTimeoutMs is given up.
class PendingStart {
 public:
  struct Listener {
    /// The command runs. May destroy the PendingStart.
    std::function<void(StartedChild)> started;
    /// The command does not run. `reaped`: its process is gone too, and the PendingStart may be destroyed.
    /// Without it the process has been killed but the kernel still holds it; this is called again once it is
    /// gone.
    std::function<void(const Failure& failure, bool reaped)> failed;
  };

  /// `spec` is needed for the time of the start only.
  PendingStart(io::Loop& loop, ForkedChild child, wire::LaunchSpec spec, Listener listener);

  pid_t pid() const { return child_.pid(); }
  const io::UniqueFd& handle() const { return child_.handle(); }
  const ChildStreams& streams() const { return child_.streams(); }

  /// Lets the held process go on to its exec. On failure the process is ended and reaped.
  Status begin();
  /// Kills the process; `why` is what `failed` is told.
  void give_up(Failure why);
  /// SIGCHLD tells that the process has changed its state, as waitid() with WNOWAIT reports it in `change`.
  void child_changed(const siginfo_t& change);

 private:
  bool look_at_report();
  void await_end();

  io::Loop& loop_;
  ForkedChild child_;
  wire::LaunchSpec spec_;
  Listener listener_;
  io::Poll report_;
  io::Timer deadline_;
  std::optional<Failure> failure_;
};

}  // namespace bgtask::supervisor
