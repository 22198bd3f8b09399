#include "supervisor/processes/process_tree.h"

#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>

#include "protocol/io/directory_names.h"
#include "supervisor/processes/process.h"

namespace bgtask::supervisor {
namespace {

// A fork bomb may outrun a few passes; each one stops or kills all it sees, so a handful is plenty in
// practice.
constexpr int kMaxPasses = 64;

std::vector<pid_t> all_processes(Look& look) {
  std::vector<pid_t> pids;
  auto names = io::directory_names(AT_FDCWD, "/proc");
  if (!names) {
    look.failed(names.error().os_error);
    return pids;
  }
  for (const std::string& name : *names) {
    if (pid_t pid = std::atoi(name.c_str()); pid > 0) pids.push_back(pid);
  }
  return pids;
}

class Frozen {
 public:
  explicit Frozen(const ControlGroup* group) : group_(group) {
    if (group_ != nullptr) group_->freeze(true);
  }
  ~Frozen() {
    if (group_ != nullptr) group_->freeze(false);
  }
  Frozen(const Frozen&) = delete;
  Frozen& operator=(const Frozen&) = delete;

 private:
  const ControlGroup* group_;
};

}  // namespace

// Orphans of a task that was started inside ours, and whose supervisor died, come to us too.
bool ProcessTree::is_ours(pid_t orphan, Look& look) const {
  auto token = initial_environment(orphan, "BGTASK_TOKEN", &look);
  return !token || *token == token_;
}

std::vector<ProcessTree::Member> ProcessTree::roots(Look& look) const {
  std::vector<Member> roots;
  pid_t self = ::getpid();
  for (pid_t pid : children_of(self, true, &look)) {
    if (pid == own_child_ || is_ours(pid, look)) roots.push_back({pid, self, {}});
  }
  if (group_ != nullptr) add_group(roots, look);
  if (!adopted_) return roots;
  for (pid_t pid : all_processes(look)) {
    if (pid == self) continue;
    auto stat = process_stat(pid, &look);
    if (!stat) continue;
    bool named = !token_.empty() && initial_environment(pid, "BGTASK_TOKEN", &look) == token_;
    bool child = adopted_child_ == std::pair(pid, stat->start_ticks);
    if (named || child) roots.push_back({pid, stat->parent, {}});
  }
  return roots;
}

// A task that was started in ours and has no group of its own is in this one, with all that is its own.
bool ProcessTree::below_another_supervisor(pid_t pid, Look& look) const {
  const pid_t self = ::getpid();
  for (pid_t at = pid; at > 1 && at != self;) {
    auto stat = process_stat(at, &look);
    if (!stat) return false;
    if (is_supervisor(at, *stat)) return true;
    at = stat->parent;
  }
  return false;
}

void ProcessTree::add_group(std::vector<Member>& roots, Look& look) const {
  for (pid_t pid : group_->processes(look)) {
    auto stat = process_stat(pid, &look);
    if (stat && is_ours(pid, look) && !below_another_supervisor(pid, look))
      roots.push_back({pid, stat->parent, {}});
  }
}

bool ProcessTree::group_is_ours_alone(Look& look) const {
  std::vector<Member> ours;
  add_group(ours, look);
  return look.complete && ours.size() == group_->processes(look).size();
}

std::vector<ProcessTree::Member> ProcessTree::find(Look& look) const {
  std::vector<Member> found;
  std::vector<Member> todo = roots(look);
  std::set<pid_t> seen;
  while (!todo.empty()) {
    Member member = todo.back();
    todo.pop_back();
    if (!seen.insert(member.pid).second) continue;
    auto stat = process_stat(member.pid, &look);
    if (!stat) continue;
    // Our own child looks like a supervisor before its exec, and may be one of another task after it. Then
    // what is below it belongs to that task.
    const bool supervisor = is_supervisor(member.pid, *stat);
    if (supervisor && member.pid != own_child_) continue;
    if (!supervisor) {
      for (pid_t child : children_of(member.pid, stat->threads == 1, &look))
        todo.push_back({child, member.pid, {}});
    }
    if (!stat->dead()) found.push_back({member.pid, member.parent, *stat});
  }
  return found;
}

std::vector<pid_t> ProcessTree::members(Look* look) const {
  std::vector<pid_t> pids;
  Look own;
  for (const Member& member : find(look != nullptr ? *look : own))
    pids.push_back(member.pid);
  return pids;
}

std::set<pid_t> ProcessTree::signal_all(int signal, Look* look) const {
  Look own;
  if (look == nullptr) look = &own;
  // Frozen, nothing can fork behind our back, and all of it has the signal before any of it goes on. What is
  // frozen can be killed.
  Frozen frozen(group_);
  bool until_quiet = signal == SIGSTOP || signal == SIGKILL;
  std::set<pid_t> signalled;
  if (signal == SIGKILL && group_ != nullptr && group_is_ours_alone(*look)) {
    for (pid_t pid : members(look))
      signalled.insert(pid);
    group_->kill();
  }
  for (int pass = 0; pass < kMaxPasses; ++pass) {
    bool any_new = false;
    for (const Member& member : find(*look)) {
      if (signalled.contains(member.pid)) continue;
      if (signal_child_of(member.pid, member.parent, member.stat.start_ticks, signal, look)) {
        signalled.insert(member.pid);
        any_new = true;
      }
    }
    if (!any_new || !until_quiet) break;
  }
  return signalled;
}

}  // namespace bgtask::supervisor
