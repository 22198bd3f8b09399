// Processes as /proc shows them, and signals that reach the process meant or none.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocol/io/process_stat.h"
#include "protocol/io/unique_fd.h"

namespace bgtask::supervisor {

/// Whether everything could be looked at. A process that is gone leaves it true; one that could not be looked
/// at for want of descriptors or memory may well be there.
struct Look {
  bool complete = true;
  int error = 0;
  /// Notes the failure of a system call, unless it says that the process is gone or not ours to see.
  void failed(int os_error);
};

using io::ProcessStat;
std::optional<ProcessStat> process_stat(pid_t pid, Look* look = nullptr);

/// A handle on a process, which stays that process's whatever happens to its pid; none if there is no such
/// process.
io::UniqueFd open_pidfd(pid_t pid);

/// Signals the process `pid` if it still is the child of `parent` (or has been re-parented to the caller)
/// that started at `start_ticks`. A pid is never trusted between being read and being used: the handle is
/// opened first, parent and start are checked afterwards.
bool signal_child_of(pid_t pid, pid_t parent, uint64_t start_ticks, int signal, Look* look = nullptr);

/// Signals the process `pid` if it is in the process group; by the same order of steps.
bool signal_group_member(pid_t pid, pid_t group, int signal);

/// Children of every thread of a process, zombies included. Where it is known to have but one, there is less
/// to read.
std::vector<pid_t> children_of(pid_t pid, bool one_thread, Look* look = nullptr);

/// Value of a variable in the environment a process was started with; nothing if it cannot be read or is not
/// there.
std::optional<std::string> initial_environment(pid_t pid, const std::string& name, Look* look = nullptr);

/// Whether the process runs a supervisor program (this one, or another build of it).
bool is_supervisor(pid_t pid, const ProcessStat& stat);

/// VmHWM in bytes; 0 if unknown.
uint64_t peak_memory(pid_t pid);

}  // namespace bgtask::supervisor
