#include "pool/src/start_supervisor.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <string_view>

#include "pool/src/supervisor_path.h"

// The children below run in the caller's memory, on stacks and beside threads that sanitizers know nothing
// of.
#define BGTASK_IN_CHILD __attribute__((no_sanitize("address", "thread", "undefined")))

// glibc's other name for clone(2). Under the usual one ThreadSanitizer takes every call for a fork, and its
// locks with it.
extern "C" int __clone(int (*function)(void*), void* stack, int flags, void* argument, ...);

namespace bgtask {
namespace {

constexpr std::size_t kStackSize = 64 * 1024;
constexpr int kFirstPassed = 3;
constexpr int kSignals = 64;
constexpr std::size_t kKernelSetSize = kSignals / 8;

// What the caller and the two children it may make have in common. They share memory (CLONE_VM), and the
// caller sleeps until they are done with it (CLONE_VFORK).
struct Shared {
  const StartPlan* plan = nullptr;
  int ascending[kMaxPassed] = {};       // plan->fds in order
  void* second_stack = nullptr;         // top of the stack for the child's child
  pid_t pid = -1;                       // of the supervisor
  int pidfd = -1;                       // of the supervisor, in the caller's descriptor table
  const char* volatile step = nullptr;  // what failed; null for success
  volatile int error = 0;
};

// --- In the children. Nothing here may allocate, lock, or be a cancellation point of libc: another thread of
// the caller may hold any lock, and libc takes this code for the calling thread. syscall() is none of these.

// A signal set as the kernel has it: all 64, also those that libc keeps for itself.
struct KernelSet {
  std::uint64_t bits;
};

// The kernel's sigaction differs between architectures; all of it zero means the default on every one.
struct KernelAction {
  unsigned long zero[8];
};

BGTASK_IN_CHILD bool failed(Shared* shared, const char* step, long result) {
  if (result >= 0) return false;
  shared->error = errno;
  shared->step = step;
  return true;
}

BGTASK_IN_CHILD void reset_signals() {
  const KernelAction standard = {};
  // KILL and STOP refuse, which is as good.
  for (int number = 1; number <= kSignals; ++number) {
    ::syscall(SYS_rt_sigaction, number, &standard, nullptr, kKernelSetSize);
  }
}

// Closes everything but what is passed on, first of all: then there is room for the duplicates however many
// descriptors the caller has and however few its limit allows.
BGTASK_IN_CHILD bool close_others(Shared* shared) {
  unsigned from = 0;
  for (std::size_t i = 0; i < shared->plan->fd_count; ++i) {
    auto keep = static_cast<unsigned>(shared->ascending[i]);
    if (keep > from && failed(shared, "close_range", ::syscall(SYS_close_range, from, keep - 1, 0)))
      return false;
    from = keep + 1;
  }
  return !failed(shared, "close_range", ::syscall(SYS_close_range, from, ~0U, 0));
}

// A number beyond the limit of descriptors is said to be invalid, or to be bad.
BGTASK_IN_CHILD bool no_duplicate(Shared* shared, long result) {
  if (result < 0 && (errno == EINVAL || errno == EBADF)) errno = EMFILE;
  return failed(shared, "duplicating a descriptor", result);
}

// To their numbers by way of high ones, for any of them may now have a number that another is to get.
BGTASK_IN_CHILD bool arrange_descriptors(Shared* shared) {
  const StartPlan* plan = shared->plan;
  long high[kMaxPassed];
  for (std::size_t i = 0; i < plan->fd_count; ++i) {
    high[i] = ::syscall(SYS_fcntl, plan->fds[i], F_DUPFD, kFirstPassed + static_cast<int>(kMaxPassed));
    if (no_duplicate(shared, high[i])) return false;
  }
  const int last_standard = 2;
  if (failed(shared, "close_range", ::syscall(SYS_close_range, 0, kFirstPassed + kMaxPassed - 1, 0)))
    return false;
  if (failed(shared, "opening /dev/null", ::syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDWR))) return false;
  for (int fd = 1; fd <= last_standard; ++fd) {
    if (no_duplicate(shared, ::syscall(SYS_dup3, 0, fd, 0))) return false;
  }
  int next = kFirstPassed;
  for (std::size_t i = 0; i < plan->fd_count; ++i) {
    if (no_duplicate(shared, ::syscall(SYS_dup3, high[i], next++, 0))) return false;
  }
  return !failed(shared, "close_range", ::syscall(SYS_close_range, next, ~0U, 0));
}

BGTASK_IN_CHILD int become_supervisor(void* argument) {
  auto* shared = static_cast<Shared*>(argument);
  const StartPlan* plan = shared->plan;
  reset_signals();
  if (plan->detached && failed(shared, "setsid", ::syscall(SYS_setsid))) return 1;
  if (!close_others(shared) || !arrange_descriptors(shared)) return 1;
  const KernelSet none = {0};
  ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, nullptr, kKernelSetSize);
  failed(shared, "exec", ::syscall(SYS_execve, plan->program, plan->argv, plan->envp));
  return 1;
}

// No termination signal is asked for: the caller's SIGCHLD handler and wait(-1) then know nothing of a child
// that never execs, and an exec makes the signal SIGCHLD. CLONE_PIDFD puts the pidfd where no descriptor is
// copied to the new process.
BGTASK_IN_CHILD long clone_supervisor(Shared* shared, void* stack) {
  long pid =
      ::__clone(become_supervisor, stack, CLONE_VM | CLONE_VFORK | CLONE_PIDFD, shared, &shared->pidfd);
  if (!failed(shared, "clone", pid)) shared->pid = static_cast<pid_t>(pid);
  return pid;
}

// The child between the caller and a detached supervisor. It shares the caller's descriptors, so that the
// pidfd is the caller's.
BGTASK_IN_CHILD int be_in_between(void* argument) {
  auto* shared = static_cast<Shared*>(argument);
  long pid = clone_supervisor(shared, shared->second_stack);
  // One that never became a supervisor must not be left to whoever inherits orphans.
  if (pid > 0 && shared->step != nullptr) ::syscall(SYS_wait4, pid, nullptr, __WALL, nullptr);
  return 0;
}

// --- In the caller.

// Two stacks with a guard page below each, for the time of one start.
class Stacks {
 public:
  Stacks() : page_(static_cast<std::size_t>(::sysconf(_SC_PAGESIZE))) {
    void* base =
        ::mmap(nullptr, size(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED) return;
    base_ = static_cast<char*>(base);
    if (!open_stack(0) || !open_stack(1)) release();
  }
  Stacks(const Stacks&) = delete;
  Stacks& operator=(const Stacks&) = delete;
  ~Stacks() { release(); }

  explicit operator bool() const { return base_ != nullptr; }
  void* top(std::size_t index) const { return base_ + (index + 1) * (page_ + kStackSize); }

 private:
  std::size_t size() const { return 2 * (page_ + kStackSize); }
  bool open_stack(std::size_t index) {
    return ::mprotect(static_cast<char*>(top(index)) - kStackSize, kStackSize, PROT_READ | PROT_WRITE) == 0;
  }
  void release() {
    if (base_ != nullptr) ::munmap(base_, size());
    base_ = nullptr;
  }

  std::size_t page_;
  char* base_ = nullptr;
};

// No handler of the caller may run in a child that shares its memory, and no cancellation strike libc calls
// made there: the child takes the calling thread's state for its own.
class Undisturbed {
 public:
  Undisturbed() {
    ::pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state_);
    const KernelSet all = {~std::uint64_t{0}};
    ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &mask_, kKernelSetSize);
  }
  Undisturbed(const Undisturbed&) = delete;
  Undisturbed& operator=(const Undisturbed&) = delete;
  ~Undisturbed() {
    ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask_, nullptr, kKernelSetSize);
    ::pthread_setcancelstate(cancel_state_, nullptr);
  }

 private:
  int cancel_state_ = 0;
  KernelSet mask_ = {};
};

// ECHILD (somebody waits for everything of every kind) is fine: then it is reaped.
void reap(long pid) {
  siginfo_t info{};
  while (::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | __WALL) != 0 && errno == EINTR) {
  }
}

void clone_detached(Shared* shared, const Stacks& stacks) {
  shared->second_stack = stacks.top(1);
  int pid = ::__clone(be_in_between, stacks.top(0), CLONE_VM | CLONE_VFORK | CLONE_FILES, shared);
  if (!failed(shared, "clone", pid)) reap(pid);
}

void clone_attached(Shared* shared, const Stacks& stacks) {
  long pid = clone_supervisor(shared, stacks.top(0));
  if (pid > 0 && shared->step != nullptr) reap(pid);
}

tl::unexpected<Failure> start_failure(const Shared& shared) {
  std::string_view step = shared.step;
  int error = shared.error;
  if (step == "exec") return fail(supervisor_failure(shared.plan->program, "", error));
  std::string what = "cannot start a supervisor: " + std::string(step);
  // EAGAIN is the user's or the control group's limit of processes.
  return fail_errno(std::move(what), error, error == EAGAIN ? ErrorCode::kProcessLimit : ErrorCode::kLost);
}

}  // namespace

Result<StartedSupervisor> start_supervisor(const StartPlan& plan) {
  Shared shared;
  shared.plan = &plan;
  std::copy_n(plan.fds, plan.fd_count, shared.ascending);
  std::sort(shared.ascending, shared.ascending + plan.fd_count);
  Stacks stacks;
  if (!stacks)
    return fail_errno("cannot start a supervisor: no memory for a stack", errno, ErrorCode::kNoMemory);
  {
    Undisturbed undisturbed;
    plan.detached ? clone_detached(&shared, stacks) : clone_attached(&shared, stacks);
  }
  StartedSupervisor started{io::UniqueFd(shared.pidfd), shared.pid};
  if (shared.step != nullptr) return start_failure(shared);
  return started;
}

}  // namespace bgtask
