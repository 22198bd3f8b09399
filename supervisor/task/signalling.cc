#include "supervisor/task/signalling.h"

#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <set>

#include "protocol/io/pidfd.h"
#include "supervisor/processes/process.h"

namespace bgtask::supervisor {
namespace {

// Signals whose default is to end a process. A stopped process takes them only once it goes on.
bool ends_by_default(int signal) {
  static constexpr int kOthers[] = {SIGCHLD, SIGCONT, SIGSTOP,  SIGTSTP, SIGTTIN,
                                    SIGTTOU, SIGURG,  SIGWINCH, SIGKILL};
  return std::find(std::begin(kOthers), std::end(kOthers), signal) == std::end(kOthers);
}

}  // namespace

tl::unexpected<Failure> Signalling::none_signalled(const Look& look) const {
  if (!look.complete) return fail_errno("cannot look at the task's processes", look.error);
  if (!run_.child_lives())
    return fail(ErrorCode::kAlreadyExited, "the task has ended and left no descendants");
  return fail(ErrorCode::kDenied, "none of the task's processes could be signalled");
}

Result<uint64_t> Signalling::kill_group(int signal) {
  pid_t group = *life_.child();
  uint64_t count = 0;
  for (pid_t pid : processes_.tree.members()) {
    // Only a child of ours keeps its pid, and so the group's number, until we let go of it.
    if (run_.adopted())
      count += signal_group_member(pid, group, signal) ? 1 : 0;
    else
      count += ::getpgid(pid) == group ? 1 : 0;
  }
  if (!run_.adopted() && ::kill(-group, signal) != 0)
    return fail_errno("cannot signal the task's process group", errno);
  return count;
}

Result<uint64_t> Signalling::kill_tree(int signal) {
  Look look;
  uint64_t count = processes_.tree.signal_all(signal, &look).size();
  if (count == 0) return none_signalled(look);
  if (ends_by_default(signal) && run_.child_stopped()) processes_.tree.signal_all(SIGCONT);
  return count;
}

Result<uint64_t> Signalling::kill(int signal, Scope scope) {
  if (signal == SIGKILL) processes_.forget_oom_kills();
  if (scope == Scope::kTree) return kill_tree(signal);
  if (!life_.child()) return fail(ErrorCode::kAlreadyExited, "the task has ended");
  // The child is un-reaped here (for an adopted one the handle says so), and a session leader cannot leave
  // its group: its pid names this group and no other.
  const int handle = run_.handle().get();
  const bool process_only = scope == Scope::kProcess || run_.starting();
  if (::pidfd_send_signal(handle, process_only ? signal : 0, nullptr, 0) != 0) {
    if (errno == ESRCH) return fail(ErrorCode::kAlreadyExited, "the task has ended");
    return fail_errno("cannot signal the task", errno);
  }
  if (run_.starting()) return 1;  // no group of its own before its exec
  uint64_t count = 1;
  if (scope == Scope::kGroup) {
    auto signalled = kill_group(signal);
    if (!signalled) return signalled;
    count = *signalled;
  }
  if (ends_by_default(signal) && run_.child_stopped()) {
    if (scope == Scope::kProcess)
      ::pidfd_send_signal(handle, SIGCONT, nullptr, 0);
    else
      processes_.tree.signal_all(SIGCONT);
  }
  return std::max<uint64_t>(count, 1);
}

Result<Signalling::Paused> Signalling::pause(bool pause) {
  if (run_.starting()) {
    return fail(ErrorCode::kBusy,
                "the command is being started again: try again, or end the start with 'kill' or 'delete'");
  }
  Look look;
  std::set<pid_t> signalled = processes_.tree.signal_all(pause ? SIGSTOP : SIGCONT, &look);
  if (signalled.empty()) return none_signalled(look);
  return Paused{signalled.size(), life_.child() && signalled.contains(*life_.child())};
}

}  // namespace bgtask::supervisor
