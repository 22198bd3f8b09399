// The processes of one task: the child and all its descendants, also those that changed session.
#pragma once

#include <sys/types.h>

#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "supervisor/processes/control_group.h"
#include "supervisor/processes/process.h"

namespace bgtask::supervisor {

/// The supervisor is a sub-reaper, so that every descendant hangs below it; that is how they are found. Other
/// supervisors among them, and what is theirs, belong to other tasks and are left alone.
class ProcessTree {
 public:
  /// `token`: by which the environment of the task's processes names it; empty where an older version began
  /// it.
  explicit ProcessTree(std::string token = {}) : token_(std::move(token)) {}

  /// Every process in the group is looked at too.
  void set_group(const ControlGroup* group) { group_ = group; }

  /// After adoption the task's processes do not hang below us: they are looked for by their environment.
  void look_everywhere() { adopted_ = true; }
  /// The child besides by pid and time of start. When it ends the pid may be another's before we hear of it.
  void adopt_child(pid_t child, uint64_t start_ticks) { adopted_child_ = {child, start_ticks}; }
  void forget_adopted_child() { adopted_child_.reset(); }

  /// The task's child as long as we are its parent, from its fork on. It keeps its pid until we reap it.
  void set_own_child(std::optional<pid_t> child) { own_child_ = child; }

  struct Member {
    pid_t pid;
    pid_t parent;
    ProcessStat stat;
  };
  /// Live processes (no zombies) below us, in no particular order. Where `look` is not complete there may be
  /// more.
  std::vector<Member> find(Look& look) const;
  /// Their pids.
  std::vector<pid_t> members(Look* look = nullptr) const;
  /// Signals every member once; for STOP and KILL repeats until no new member shows up. Returns the pids
  /// that were signalled.
  std::set<pid_t> signal_all(int signal, Look* look = nullptr) const;

 private:
  std::vector<Member> roots(Look& look) const;
  bool is_ours(pid_t orphan, Look& look) const;
  bool below_another_supervisor(pid_t pid, Look& look) const;
  void add_group(std::vector<Member>& roots, Look& look) const;
  bool group_is_ours_alone(Look& look) const;

  std::string token_;
  bool adopted_ = false;
  const ControlGroup* group_ = nullptr;
  std::optional<std::pair<pid_t, uint64_t>> adopted_child_;
  std::optional<pid_t> own_child_;
};

}  // namespace bgtask::supervisor
