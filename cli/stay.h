// `run --wait` and `run -f`: staying with a task until it ends.
#pragma once

#include <bgtask/task.h>

#include <optional>

#include "cli/interruption.h"

namespace bgtask::cli {

struct StayOptions {
  bool follow = false;         ///< print its output, each stream to its own
  bool take = false;           ///< consume what was printed: it will not be kept, or waits to be taken
  bool forward_stdin = false;  ///< our stdin to the task's, and its end
  bool remove = false;         ///< delete the task then, also where we are told to end
  std::optional<Seconds> wait_timeout = {};  ///< go away after so long; the task goes on
};

/// Returns the exit status: the task's own, also where somebody else deletes it; 124 when the time is up; 125
/// where its end is not known. \throws bgtask::Error, ConsoleError
int stay_with(Task& task, const StayOptions& options, Interruption& interruption);

}  // namespace bgtask::cli
