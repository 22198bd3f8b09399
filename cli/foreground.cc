#include "cli/foreground.h"

#include <sys/wait.h>

#include <cerrno>
#include <csignal>

#include "cli/exit_status.h"

namespace bgtask::cli {
namespace {

constexpr int kForwarded[] = {SIGHUP, SIGINT, SIGTERM};

// The un-reaped child, 0 for none. A handler can see nothing else.
volatile std::sig_atomic_t supervisor_pid = 0;

void forward(int signal) {
  const int saved = errno;
  if (supervisor_pid > 0) ::kill(static_cast<pid_t>(supervisor_pid), signal);
  errno = saved;
}

sigset_t forwarded_set() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : kForwarded)
    sigaddset(&set, signal);
  return set;
}

void set_mask(int how) {
  const sigset_t set = forwarded_set();
  ::sigprocmask(how, &set, nullptr);
}

}  // namespace

ForegroundParent::ForegroundParent() {
  set_mask(SIG_BLOCK);
}

ForegroundParent::~ForegroundParent() {
  set_mask(SIG_UNBLOCK);
}

void ForegroundParent::adopt(pid_t supervisor) {
  supervisor_pid = static_cast<std::sig_atomic_t>(supervisor);
  struct sigaction action = {};
  action.sa_handler = forward;
  action.sa_flags = SA_RESTART;
  for (const int signal : kForwarded)
    ::sigaction(signal, &action, nullptr);
  set_mask(SIG_UNBLOCK);
}

int ForegroundParent::wait() {
  const auto pid = static_cast<pid_t>(supervisor_pid);
  siginfo_t info = {};
  // Not reaped before the handler has forgotten the pid: it might be somebody else's a moment later.
  while (::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT) != 0) {
    if (errno != EINTR) return kExitFailure;
  }
  supervisor_pid = 0;
  ::waitpid(pid, nullptr, 0);
  return info.si_code == CLD_EXITED ? info.si_status : kExitSignalBase + info.si_status;
}

}  // namespace bgtask::cli
