// Starting the command: own fork and exec, with a close-on-exec pipe that tells why an exec failed.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "protocol/io/unique_fd.h"
#include "protocol/wire/launch.h"
#include "protocol/wire/result.h"
#include "supervisor/processes/control_group.h"

namespace bgtask::supervisor {

/// The supervisor's ends of the child's streams, non-blocking.
struct ChildStreams {
  io::UniqueFd stdin_pipe;  ///< none: the child has /dev/null
  io::UniqueFd stdout_pipe;
  io::UniqueFd stderr_pipe;
  io::UniqueFd data_socket;
};

struct StartedChild {
  pid_t pid = -1;
  uint64_t start_ticks = 0;  ///< by which a later adopter knows it again
  io::UniqueFd pidfd;
  ChildStreams streams;
};

/// Settings of the supervisor's own process that the child must not inherit.
struct OriginalProcess {
  mode_t umask = 022;
  uint64_t core_soft_limit = 0;
};

/// Starts spec.exec in a session and process group of its own and returns when its exec has succeeded.
/// exec_failed, bad_argument (cwd, limits, nice, user), process_limit, too_many_files, no_memory otherwise,
/// with nothing left. `task_id` is the supervisor's pid as the child's environment names it. The child is
/// born into the control group, if there is one. `announce`, if given, is called with its pid before its
/// exec; if that fails, or this process dies meanwhile, the command never begins.
Result<StartedChild> start_child(const wire::LaunchSpec& spec, pid_t task_id, const OriginalProcess& original,
                                 const ControlGroup* group, const std::function<Status(pid_t)>& announce);

/// The number of the data channel in the child.
inline constexpr int kChildDataFd = 3;

}  // namespace bgtask::supervisor
