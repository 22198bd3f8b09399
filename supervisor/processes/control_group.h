// One control group (cgroup v2) for a task's processes, where a parent is delegated to us: everything the
// task starts is born into it and cannot leave, can be frozen while it is signalled, and killed by one write.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocol/io/unique_fd.h"
#include "protocol/wire/launch.h"
#include "protocol/wire/result.h"
#include "supervisor/processes/process.h"

namespace bgtask::supervisor {

class ControlGroup {
 public:
  /// The group for a new task: in the directory that BGTASK_CGROUP names, else in our own group if it is
  /// delegated (systemd marks such with the attribute "delegate"). None where there is no such place;
  /// `denied` where limits were asked for and there is none, or it lacks a controller.
  static Result<std::optional<ControlGroup>> create(const wire::LaunchSpec& spec, pid_t id);
  /// The group of a task by its path; none if it is gone.
  static std::optional<ControlGroup> open(const std::string& path);
  /// The group of a task that was taken over; none if it is gone.
  static std::optional<ControlGroup> take_over(const std::string& path);

  /// Moves this process out of the group it was started in, to where supervisors are, if groups are in use.
  static void leave_callers_group();

  const std::string& path() const { return path_; }
  /// For CLONE_INTO_CGROUP.
  int directory() const { return directory_.get(); }

  /// All processes in it, also in groups below.
  std::vector<pid_t> processes(Look& look) const;
  /// Stops (or continues) everything in it, which none of its processes notices. Processes that run stand
  /// still when it returns; one that the kernel holds may go on for a moment, and forks into a frozen group.
  void freeze(bool frozen) const;
  /// Kills everything in it; false where the kernel cannot (before 5.14).
  bool kill() const;
  /// How often the kernel killed something of it for want of memory.
  uint64_t oom_kills() const;
  /// Removes it. busy while a process in it is still on its way out.
  Status remove() const;

 private:
  ControlGroup(std::string path, io::UniqueFd directory)
      : path_(std::move(path)), directory_(std::move(directory)) {}
  Status limit(const wire::LaunchSpec& spec, int parent) const;
  bool holds_us() const;

  std::string path_;
  io::UniqueFd directory_;
};

/// "cpu.max" for so many processors.
std::string cpu_quota(double cpus);

}  // namespace bgtask::supervisor
