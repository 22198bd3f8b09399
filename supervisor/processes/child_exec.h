// What the forked child does until its exec, and what it tells when that fails.
#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <array>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "protocol/wire/launch.h"
#include "protocol/wire/result.h"
#include "supervisor/processes/child_streams.h"

namespace bgtask::supervisor {

/// Limits that the supervisor changes for itself.
inline constexpr int kOwnLimits[] = {RLIMIT_CORE,   RLIMIT_AS,    RLIMIT_DATA, RLIMIT_STACK,
                                     RLIMIT_NOFILE, RLIMIT_FSIZE, RLIMIT_CPU};

/// Settings of the supervisor's own process that the child must not inherit.
struct OriginalProcess {
  mode_t umask = 022;
  /// Of kOwnLimits, in that order; RLIM_INFINITY where nothing was changed.
  std::array<rlim_t, std::size(kOwnLimits)> soft_limits = unchanged();

  static constexpr std::array<rlim_t, std::size(kOwnLimits)> unchanged() {
    std::array<rlim_t, std::size(kOwnLimits)> limits = {};
    limits.fill(RLIM_INFINITY);
    return limits;
  }
};

/// Everything the forked child needs, made before the fork: after it nothing allocates.
struct Preparation {
  const wire::LaunchSpec& spec;
  const OriginalProcess& original;
  std::vector<std::string> arguments;
  std::vector<std::string> environment;
  std::vector<std::string> files;
  std::vector<char*> argv;
  std::vector<char*> envp;
  std::vector<std::pair<int, rlimit>> limits;

  Preparation(const wire::LaunchSpec& wanted, pid_t task_id, const OriginalProcess& own);
};

/// Reported through the pipe when a step before the exec, or the exec, fails.
enum class Step : int { kSession, kStreams, kLimits, kNice, kUser, kDirectory, kExec };
struct ChildFailure {
  Step step;
  int error;
};

/// In the forked child: sets the process up and executes the command. Writes a ChildFailure to `report_fd` if
/// that fails; the exec closes it. With a `leave_fd` (else -1) it first waits for a byte from there, and ends
/// without one. Makes system calls only.
[[noreturn]] void run_child(Preparation& preparation, const ChildEnds& ends, int report_fd, int leave_fd,
                            pid_t supervisor);

/// The failure as a client is told it.
tl::unexpected<Failure> describe(const ChildFailure& failure, const wire::LaunchSpec& spec);

}  // namespace bgtask::supervisor
