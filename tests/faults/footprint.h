// What a process holds, so that it can be compared with what it held before.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace bgtask::faults {

struct Footprint {
  std::map<int, std::string> descriptors;  ///< number to what it is (without inode numbers)
  std::string umask;
  std::string limits;
  std::string groups;
  std::vector<pid_t> zombies;  ///< children that nobody reaped
  int64_t resident_kib = 0;
};

Footprint footprint_of(pid_t pid);
/// The same once the process sleeps and has held the same for a few looks.
Footprint settled_footprint_of(pid_t pid);
/// What differs, in words; empty if nothing does. Resident memory may have grown by a mebibyte
/// (with a sanitizer by what its quarantine holds).
std::string difference(const Footprint& before, const Footprint& after);

/// Living processes (of this namespace) but process 1 and the caller.
std::vector<pid_t> other_processes();
/// Zombies of this namespace whose parent is a supervisor.
std::vector<pid_t> zombies_of_supervisors();
/// Unix sockets of this namespace that have a name (bound, or connected to by name).
std::vector<std::string> named_sockets();

}  // namespace bgtask::faults
