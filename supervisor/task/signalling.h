// Signals to the task's processes: to the child, its process group, or the whole tree.
#pragma once

#include <cstdint>

#include "protocol/wire/messages/values.h"
#include "protocol/wire/result.h"
#include "supervisor/task/current_run.h"
#include "supervisor/task/lifecycle.h"
#include "supervisor/task/task_processes.h"

namespace bgtask::supervisor {

using Scope = wire::SignalScope;

class Signalling {
 public:
  Signalling(const Lifecycle& life, const CurrentRun& run, TaskProcesses& processes)
      : life_(life), run_(run), processes_(processes) {}

  /// Returns how many processes got the signal. already_exited if there is none. A signal that ends processes
  /// is followed by CONT for a stopped task. While the command's exec is awaited its process gets it.
  Result<uint64_t> kill(int signal, Scope scope);

  struct Paused {
    uint64_t count = 0;      ///< processes that got the signal
    bool child_too = false;  ///< the command is among them
  };
  /// Stops (or continues) every process of the tree. busy while the command's exec is awaited.
  Result<Paused> pause(bool pause);

 private:
  Result<uint64_t> kill_tree(int signal);
  Result<uint64_t> kill_group(int signal);
  tl::unexpected<Failure> none_signalled(const Look& look) const;

  const Lifecycle& life_;
  const CurrentRun& run_;
  TaskProcesses& processes_;
};

}  // namespace bgtask::supervisor
