// Preloaded into a dynamically linked supervisor: fails the Nth allocation, moves the wall clock, fails the
// Nth call of the forked child. Does nothing where no control file is named.
#include <dlfcn.h>
#include <fcntl.h>
#include <grp.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <cstdlib>

#include "tests/faults/preload_control.h"

using bgtask::faults::PreloadControl;

extern "C" {
// glibc's own names: the standard ones are ours here.
void* __libc_malloc(size_t size);
void* __libc_calloc(size_t count, size_t size);
void* __libc_realloc(void* old, size_t size);
void* __libc_memalign(size_t alignment, size_t size);
}

namespace {

PreloadControl* open_control() {
  const char* path = ::getenv(bgtask::faults::kControlVariable);
  if (path == nullptr) return nullptr;
  const int fd = ::open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) return nullptr;
  void* mapped = ::mmap(nullptr, sizeof(PreloadControl), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  ::close(fd);
  return mapped == MAP_FAILED ? nullptr : static_cast<PreloadControl*>(mapped);
}

PreloadControl* control = nullptr;
pid_t supervisor = 0;

__attribute__((constructor)) void start() {
  control = open_control();
  supervisor = ::getpid();
}

bool child_call_fails() {
  if (control == nullptr || ::getpid() == supervisor) return false;
  if (control->child_calls_seen.fetch_add(1) + 1 != control->child_call.load()) return false;
  if (control->child_errno.load() < 0) ::raise(SIGKILL);
  errno = static_cast<int>(control->child_errno.load());
  return true;
}

template <class Function>
Function* next(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

bool fails_now() {
  if (control == nullptr) return false;
  control->allocations_seen.fetch_add(1);
  if (control->allocations_left.load() < 0) return false;
  if (control->allocations_left.load() > 0) {
    control->allocations_left.fetch_sub(1);
    return false;
  }
  if (control->failures_left.load() <= 0) return false;
  control->failures_left.fetch_sub(1);
  control->failures.fetch_add(1);
  errno = ENOMEM;
  return true;
}

}  // namespace

extern "C" {

// Calls of the child between fork and exec, except those that cannot fail (umask, getppid) or take a variable
// number of arguments (open and prctl; fcntl is below).
#define BGTASK_CHILD_CALL(result, name, parameters, arguments)                                      \
  __attribute__((visibility("default"))) result name parameters {                                   \
    return child_call_fails() ? static_cast<result>(-1) : next<result parameters>(#name) arguments; \
  }
BGTASK_CHILD_CALL(pid_t, setsid, (), ())
BGTASK_CHILD_CALL(ssize_t, read, (int fd, void* buffer, size_t size), (fd, buffer, size))
BGTASK_CHILD_CALL(ssize_t, write, (int fd, const void* buffer, size_t size), (fd, buffer, size))
BGTASK_CHILD_CALL(ssize_t, pwrite, (int fd, const void* buffer, size_t size, off_t at),
                  (fd, buffer, size, at))
BGTASK_CHILD_CALL(int, dup2, (int from, int to), (from, to))
BGTASK_CHILD_CALL(int, close_range, (unsigned first, unsigned last, int flags), (first, last, flags))
BGTASK_CHILD_CALL(int, setrlimit, (__rlimit_resource_t resource, const rlimit* limit), (resource, limit))
BGTASK_CHILD_CALL(int, nice, (int by), (by))
BGTASK_CHILD_CALL(int, setgroups, (size_t count, const gid_t* groups), (count, groups))
BGTASK_CHILD_CALL(int, setresgid, (gid_t real, gid_t effective, gid_t saved), (real, effective, saved))
BGTASK_CHILD_CALL(int, setresuid, (uid_t real, uid_t effective, uid_t saved), (real, effective, saved))
BGTASK_CHILD_CALL(int, chdir, (const char* path), (path))
BGTASK_CHILD_CALL(int, execve, (const char* path, char* const* argv, char* const* envp), (path, argv, envp))
#undef BGTASK_CHILD_CALL

__attribute__((visibility("default"))) int fcntl(int fd, int command, ...) {
  va_list list;
  va_start(list, command);
  const long argument = va_arg(list, long);
  va_end(list);
  return child_call_fails() ? -1 : next<int(int, int, ...)>("fcntl")(fd, command, argument);
}

__attribute__((visibility("default"))) void* malloc(size_t size) {
  return fails_now() ? nullptr : __libc_malloc(size);
}
__attribute__((visibility("default"))) void* calloc(size_t count, size_t size) {
  return fails_now() ? nullptr : __libc_calloc(count, size);
}
__attribute__((visibility("default"))) void* realloc(void* old, size_t size) {
  return fails_now() ? nullptr : __libc_realloc(old, size);
}
__attribute__((visibility("default"))) void* aligned_alloc(size_t alignment, size_t size) {
  return fails_now() ? nullptr : __libc_memalign(alignment, size);
}

__attribute__((visibility("default"))) int clock_gettime(clockid_t clock, timespec* now) {
  const long result = ::syscall(SYS_clock_gettime, clock, now);
  if (result == 0 && clock == CLOCK_REALTIME && control != nullptr)
    now->tv_sec += control->clock_offset.load();
  return static_cast<int>(result);
}

}  // extern "C"
