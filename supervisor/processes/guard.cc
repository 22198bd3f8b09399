#include "supervisor/processes/guard.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <csignal>
#include <optional>

#include "protocol/io/files.h"
#include "supervisor/processes/control_group.h"
#include "supervisor/processes/process_tree.h"

namespace bgtask::supervisor {
namespace {

constexpr int kPauseMs = 20;
constexpr int kMaxRounds = 250;  // five seconds

// Orphans of the supervisor come to the guard; each round kills and reaps those that have come so far.
[[noreturn]] void sweep_and_exit(const std::string& token, const ControlGroup* group) {
  ProcessTree tree(token);
  tree.set_group(group);
  tree.look_everywhere();
  int rounds_left = kMaxRounds;
  while (true) {
    tree.signal_all(SIGKILL);
    Look look;
    if (tree.members(&look).empty() && tree.members(&look).empty() && look.complete) {
      while (::waitpid(-1, nullptr, WNOHANG) > 0) {
      }
      ::_exit(0);
    }
    // What is not our child does not announce its end, and what may not be killed does not end.
    if (::waitpid(-1, nullptr, 0) < 0 && errno == ECHILD) {
      if (--rounds_left == 0) ::_exit(1);
      ::poll(nullptr, 0, kPauseMs);
    }
  }
}

// Opened while it is certain to be the task's: later its name may be another's.
std::optional<ControlGroup> told_group(int fd) {
  auto path = io::read_all(fd, PATH_MAX);
  ::close(fd);
  return path && !path->empty() ? ControlGroup::open(*path) : std::nullopt;
}

[[noreturn]] void stand_guard(pid_t supervisor, const std::string& token, io::UniqueFd told) {
  constexpr int kTold = 0;
  ::dup2(told.get(), kTold);
  ::close_range(kTold + 1, ~0U, 0);
  for (int signal : {SIGHUP, SIGINT, SIGTERM, SIGPIPE})
    ::signal(signal, SIG_IGN);
  const std::optional<ControlGroup> group = told_group(kTold);
  while (true) {
    pid_t ended = ::waitpid(-1, nullptr, 0);
    if (ended == supervisor || (ended < 0 && errno == ECHILD))
      sweep_and_exit(token, group ? &*group : nullptr);
  }
}

}  // namespace

Result<io::UniqueFd> fork_below_guard(const std::string& token) {
  if (::prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) return fail_errno("cannot become a sub-reaper", errno);
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno("cannot make a pipe", errno, ErrorCode::kTooManyFiles);
  io::UniqueFd told(ends[0]);
  io::UniqueFd tell(ends[1]);
  pid_t supervisor = ::fork();
  if (supervisor < 0) return fail_errno("cannot fork the supervisor", errno, ErrorCode::kProcessLimit);
  if (supervisor > 0) stand_guard(supervisor, token, std::move(told));
  return tell;
}

}  // namespace bgtask::supervisor
