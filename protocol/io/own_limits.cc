#include "protocol/io/own_limits.h"

#include <sys/auxv.h>
#include <sys/resource.h>

namespace bgtask::io {
namespace {

constexpr uint64_t kLeastStack = 256 * 1024;

struct Limit {
  __rlimit_resource resource;
  const char* name;
  const char* option;
  const char* flag;  // of ulimit
};
constexpr Limit kAddressSpace{RLIMIT_AS, "RLIMIT_AS", "as", "-v"};
constexpr Limit kData{RLIMIT_DATA, "RLIMIT_DATA", "data", "-d"};
constexpr Limit kStack{RLIMIT_STACK, "RLIMIT_STACK", "stack", "-s"};
constexpr Limit kFileSize{RLIMIT_FSIZE, "RLIMIT_FSIZE", "fsize", "-f"};

std::string if_below(const Limit& limit, uint64_t bytes) {
  rlimit now{};
  if (::getrlimit(limit.resource, &now) != 0 || now.rlim_max == RLIM_INFINITY || now.rlim_max >= bytes)
    return "";
  return std::string(limit.name) + " is " + std::to_string(now.rlim_max) + " bytes: raise it (ulimit " +
         limit.flag + "), or limit the command alone (--limit " + limit.option + "=…)";
}

}  // namespace

std::string memory_limits_below(uint64_t bytes) {
  const std::string as = if_below(kAddressSpace, bytes), data = if_below(kData, bytes);
  return as + (as.empty() || data.empty() ? "" : "; ") + data;
}

std::string small_stack_limit() {
  return if_below(kStack, kLeastStack);
}

std::string stack_left_below(uint64_t bytes) {
  rlimit now{};
  if (::getrlimit(RLIMIT_STACK, &now) != 0 || now.rlim_cur == RLIM_INFINITY) return "";
  // The kernel puts the program's name at the very top of the stack (fs/exec.c: bprm_mm_init, copy_strings).
  const uint64_t top = ::getauxval(AT_EXECFN);
  const uint64_t used = top - reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
  if (top == 0 || now.rlim_cur >= used + bytes) return "";
  return "RLIMIT_STACK is " + std::to_string(now.rlim_cur) + " bytes, of which " + std::to_string(used) +
         " are taken by arguments and environment: raise it (ulimit -s)";
}

std::string file_size_limit() {
  return if_below(kFileSize, RLIM_INFINITY);
}

}  // namespace bgtask::io
