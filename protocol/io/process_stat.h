// The content of /proc/PID/stat.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "protocol/wire/result.h"

namespace bgtask::io {

struct ProcessStat {
  std::string name;  ///< of the command, as the kernel keeps it: 15 bytes at most
  char state = '?';
  pid_t parent = 0;
  bool before_exec = false;  ///< forked, no exec yet
  uint64_t user_ticks = 0;
  uint64_t system_ticks = 0;
  uint64_t children_ticks = 0;  ///< user and system, of children that have been waited for
  uint64_t threads = 0;
  uint64_t start_ticks = 0;  ///< since boot; with the pid and the boot's id it identifies a process
  bool dead() const { return state == 'Z' || state == 'X'; }
};

/// not_found where there is no such process; other failures say nothing about it.
Result<ProcessStat> process_stat(pid_t pid);

/// The kernel's random id of this boot.
Result<std::string> boot_id();

}  // namespace bgtask::io
