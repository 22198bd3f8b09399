#include "supervisor/guard.h"

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "supervisor/process_tree.h"

namespace bgtask::supervisor {
namespace {

// Orphans of the supervisor come to the guard; each round kills and reaps those that have come so far.
[[noreturn]] void sweep_and_exit(pid_t supervisor) {
  ProcessTree tree({supervisor});
  while (true) {
    tree.signal_all(SIGKILL);
    if (tree.members().empty()) {
      while (::waitpid(-1, nullptr, WNOHANG) > 0) {
      }
      ::_exit(0);
    }
    ::waitpid(-1, nullptr, 0);
  }
}

[[noreturn]] void stand_guard(pid_t supervisor) {
  ::close_range(0, ~0U, 0);
  for (int signal : {SIGHUP, SIGINT, SIGTERM, SIGPIPE})
    ::signal(signal, SIG_IGN);
  while (true) {
    pid_t ended = ::waitpid(-1, nullptr, 0);
    if (ended == supervisor || (ended < 0 && errno == ECHILD)) sweep_and_exit(supervisor);
  }
}

}  // namespace

Status fork_below_guard() {
  if (::prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) return fail_errno("cannot become a sub-reaper", errno);
  pid_t supervisor = ::fork();
  if (supervisor < 0) return fail_errno("cannot fork the supervisor", errno, ErrorCode::kProcessLimit);
  if (supervisor > 0) stand_guard(supervisor);
  return {};
}

}  // namespace bgtask::supervisor
