// Getting a supervisor to work: the caller's end of protocol/wire/launch.h.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "protocol/wire/launch.h"
#include "protocol/wire/result.h"

namespace bgtask {

/// What every launch in a pool has in common.
struct LaunchSettings {
  int pool_fd = -1;                                   ///< the pool's directory, already checked; not owned
  std::vector<std::string> supervisor_command;        ///< empty: found by find_supervisor()
  std::map<std::string, std::string> supervisor_env;  ///< the supervisor's environment
  std::chrono::milliseconds answer_time{30'000};      ///< after which a silent supervisor is ended
};

/// Starts a supervisor and waits for its answer: the new task's id. All or nothing: after a failure no
/// process that was started is left, unless it defies being killed. Failures are those of start_supervisor,
/// what the supervisor answers (a word this version does not know is in data["error"]), lost if it ends or
/// talks nonsense instead, and unresponsive if it is silent; these two name it in data["supervisor_pid"].
Result<pid_t> launch(const wire::LaunchSpec& spec, const LaunchSettings& settings);

/// Replaces this process by the supervisor, which keeps stdout and stderr and tells there what a launcher
/// would be answered. Returns only with a failure, then as far as possible with everything as it was:
/// exec_failed naming the supervisor, no_memory, too_many_files.
Failure become_supervisor(const wire::LaunchSpec& spec, const LaunchSettings& settings);

}  // namespace bgtask
