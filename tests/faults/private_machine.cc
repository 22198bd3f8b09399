#include "tests/faults/private_machine.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>

namespace bgtask::faults {
namespace {

constexpr int kCannotSetUp = 99;

int status_of(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// Process 1 of the namespace runs the body and reaps orphans. When it ends, the kernel kills all others.
[[noreturn]] void be_init(const std::function<int()>& body) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      ::mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) != 0) {
    std::perror("private machine: mount");
    ::_exit(kCannotSetUp);
  }
  const pid_t test = ::fork();
  if (test == 0) {
    const int result = body();
    std::fflush(nullptr);
    ::_exit(result);
  }
  for (;;) {
    int status = 0;
    const pid_t ended = ::waitpid(-1, &status, 0);
    if (ended == test) ::_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
  }
}

}  // namespace

int in_private_machine(const std::function<int()>& body) {
  if (::unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET) != 0) {
    std::perror("private machine: unshare (these tests need root)");
    return kCannotSetUp;
  }
  const pid_t init = ::fork();
  if (init == 0) be_init(body);
  return status_of(init);
}

}  // namespace bgtask::faults
