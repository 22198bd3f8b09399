// The processes of one task: the child and all its descendants, also those that changed session.
#pragma once

#include <sys/types.h>

#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "supervisor/control_group.h"
#include "supervisor/process.h"

namespace bgtask::supervisor {

/// The supervisor is a sub-reaper, so that every descendant hangs below it; that is how they are found. Other
/// supervisors among them, and what is theirs, belong to other tasks and are left alone.
class ProcessTree {
 public:
  /// `former_ids`: of supervisors this one took over from.
  /// `pool_path` is what their environment names, beside the id.
  explicit ProcessTree(std::vector<pid_t> former_ids = {}, std::string pool_path = {});

  /// Every process in the group is looked at too.
  void set_group(const ControlGroup* group) { group_ = group; }

  /// After adoption the child is not ours: it is looked for by pid and time of start, and orphans by their
  /// environment. When it ends the pid may be another's before we hear of it.
  void adopt_child(pid_t child, uint64_t start_ticks) { adopted_child_ = {child, start_ticks}; }
  void forget_adopted_child() { adopted_child_.reset(); }
  /// A former id is a pid, and another task of the pool may have or have had the same: which of the two a
  /// process's environment means cannot be told then. Those ids are not gone by, now or when such a task
  /// appears.
  void give_up_id(pid_t id) { std::erase(own_ids_, std::to_string(id)); }
  void give_up_ids_of_tasks_in(std::string pool_path) { shared_pool_ = std::move(pool_path); }

  /// Live processes (no zombies) below us, in no particular order. Where `look` is not complete there may be
  /// more.
  std::vector<pid_t> members(Look* look = nullptr) const;
  /// Signals every member once; for STOP and KILL repeats until no new member shows up. Returns the pids
  /// that were signalled.
  std::set<pid_t> signal_all(int signal, Look* look = nullptr) const;

 private:
  struct Member {
    pid_t pid;
    pid_t parent;
    uint64_t start_ticks = 0;
  };
  std::vector<Member> find(Look& look) const;
  std::vector<Member> roots(Look& look) const;
  bool is_ours(pid_t orphan, Look& look) const;
  bool below_another_supervisor(pid_t pid, Look& look) const;
  void add_group(std::vector<Member>& roots, Look& look) const;
  bool group_is_ours_alone(Look& look) const;
  bool names_us(const std::string& id) const;

  std::vector<std::string> own_ids_;
  bool adopted_ = false;
  const ControlGroup* group_ = nullptr;
  std::string pool_path_;
  std::string shared_pool_;
  std::optional<std::pair<pid_t, uint64_t>> adopted_child_;
};

}  // namespace bgtask::supervisor
