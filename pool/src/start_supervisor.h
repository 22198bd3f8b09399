// Starting a process from any process: without its memory being copied, and without anything of its threads,
// signals or descriptors reaching the new one.
#pragma once

#include <sys/types.h>

#include <cstddef>

#include "protocol/io/unique_fd.h"
#include "protocol/wire/result.h"

namespace bgtask {

/// Most descriptors that can be passed on.
inline constexpr std::size_t kMaxPassed = 4;

struct StartPlan {
  const char* program = nullptr;  ///< a path
  char* const* argv = nullptr;
  char* const* envp = nullptr;
  int fds[kMaxPassed] = {};  ///< become 3, 4, …; nothing else is passed on, 0–2 are /dev/null
  std::size_t fd_count = 0;
  /// A session of its own, and no child of the caller: neither its wait functions nor its SIGCHLD handler
  /// ever see it. Otherwise it is an ordinary child, whom the caller has to reap.
  bool detached = true;
};

struct StartedSupervisor {
  io::UniqueFd pidfd;
  pid_t pid = -1;
};

/// Starts it with every signal at its default and unblocked. Returns when its exec has succeeded.
/// exec_failed naming the program; process_limit, no_memory, too_many_files; nothing is left behind on
/// failure. Safe to call from several threads at once; the caller's signal mask, dispositions, umask and cwd
/// are not touched.
Result<StartedSupervisor> start_supervisor(const StartPlan& plan);

}  // namespace bgtask
