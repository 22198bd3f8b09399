// Resources that a process holds, for comparison before and after a case.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace bgtask::faults {

struct Footprint {
  std::map<int, std::string> descriptors;  ///< number to target (without inode numbers)
  std::string umask;
  std::string limits;
  std::string groups;
  std::vector<pid_t> zombies;  ///< unreaped children
  int64_t resident_kib = 0;
};

Footprint footprint_of(pid_t pid);
/// The footprint once the process sleeps and several samples agree.
Footprint settled_footprint_of(pid_t pid);
/// Describes the differences; empty if there are none. Resident memory may grow by a mebibyte
/// (with a sanitizer, by the size of its quarantine).
std::string difference(const Footprint& before, const Footprint& after);

/// Living processes (of this namespace) but process 1 and the caller.
std::vector<pid_t> other_processes();
/// Zombies of this namespace whose parent is a supervisor.
std::vector<pid_t> zombies_of_supervisors();
/// Unix sockets of this namespace that have a name (bound, or connected to by name).
std::vector<std::string> named_sockets();

}  // namespace bgtask::faults
