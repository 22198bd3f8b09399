#include "supervisor/program/memory_reserve.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <uv.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <ctime>
#include <new>
#include <string>

#include "protocol/io/own_limits.h"

namespace bgtask::supervisor {
namespace {

// Several times the largest reply (1 MiB) with its copies on the way out.
constexpr size_t kReserve = 8u << 20;
constexpr size_t kRoomToWork = 8u << 20;  // untouched, of the heap's growth
constexpr timespec kPause{0, 10'000'000};

void* reserve = MAP_FAILED;
bool waits = false;

void make_reserve() {
  reserve =
      ::mmap(nullptr, kReserve, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

// Called by the allocator's callers after a failure; when it returns they try again.
void spend_or_wait() {
  if (reserve != MAP_FAILED) {
    ::munmap(reserve, kReserve);
    reserve = MAP_FAILED;
    return;
  }
  if (!waits) throw std::bad_alloc();
  ::nanosleep(&kPause, nullptr);
}

// libuv handles a failure where it makes a loop, and aborts where it watches a descriptor; it is no place to
// throw through.
template <class Allocate>
void* until_it_succeeds(size_t size, Allocate allocate) {
  void* memory = allocate();
  while (memory == nullptr && size != 0 && (waits || reserve != MAP_FAILED)) {
    spend_or_wait();
    memory = allocate();
  }
  return memory;
}

void* allocate(size_t size) {
  return until_it_succeeds(size, [=] { return std::malloc(size); });
}

void* reallocate(void* old, size_t size) {
  return until_it_succeeds(size, [=] { return std::realloc(old, size); });
}

void* allocate_zeroed(size_t count, size_t size) {
  return until_it_succeeds(count * size, [=] { return std::calloc(count, size); });
}

}  // namespace

void install_memory_reserve() {
  if (reserve == MAP_FAILED) make_reserve();
  std::set_new_handler(spend_or_wait);
  uv_replace_allocator(allocate, reallocate, allocate_zeroed, std::free);
}

void wait_for_memory_from_now_on() {
  waits = true;
}

bool memory_suffices() {
  if (!memory_reserve_ready() || !io::small_stack_limit().empty()) return false;
  void* room = ::mmap(nullptr, kRoomToWork, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (room == MAP_FAILED) return false;
  ::munmap(room, kRoomToWork);
  return true;
}

Failure out_of_memory() {
  std::string limits = io::small_stack_limit();
  if (limits.empty()) limits = io::memory_limits_below(RLIM_INFINITY);
  return Failure{ErrorCode::kNoMemory,
                 "the supervisor cannot start: out of memory" + (limits.empty() ? "" : "; " + limits), ENOMEM,
                 nullptr};
}

bool memory_reserve_ready() {
  if (reserve == MAP_FAILED) make_reserve();
  return reserve != MAP_FAILED;
}

}  // namespace bgtask::supervisor
