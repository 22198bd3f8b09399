// The processes of one task and the control group that holds them, where there is one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "supervisor/processes/control_group.h"
#include "supervisor/processes/process_tree.h"

namespace bgtask::supervisor {

struct TaskProcesses {
  explicit TaskProcesses(std::string token) : tree(std::move(token)) {}
  TaskProcesses(const TaskProcesses&) = delete;
  TaskProcesses& operator=(const TaskProcesses&) = delete;

  void use(std::optional<ControlGroup> the_group) {
    group = std::move(the_group);
    tree.set_group(group ? &*group : nullptr);
  }
  /// running, naming how many, if a process of the task is alive.
  Status none_alive() const;
  std::string group_path() const { return group ? group->path() : ""; }

  /// The kernel counts the processes it kills for want of memory, and does not say which they were: kills
  /// counted up to now were not those of the running command.
  void forget_oom_kills() { oom_kills_before = group ? group->oom_kills() : 0; }
  bool oom_killed_since() const { return group && group->oom_kills() > oom_kills_before; }

  std::optional<ControlGroup> group;
  ProcessTree tree;
  uint64_t oom_kills_before = 0;
};

}  // namespace bgtask::supervisor
