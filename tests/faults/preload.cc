// Preloaded into a dynamically linked supervisor: fails the Nth allocation, moves the wall clock. Does
// nothing where no control file is named.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
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

__attribute__((constructor)) void start() {
  control = open_control();
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
