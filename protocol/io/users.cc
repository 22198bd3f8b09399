#include "protocol/io/users.h"

#include <fcntl.h>

#include <cstdint>
#include <sstream>
#include <string>

#include "protocol/io/files.h"

namespace bgtask::io {
namespace {

constexpr uid_t kOverflow = 65'534;          // kernel/sys.c: DEFAULT_OVERFLOWUID
constexpr uint64_t kEveryUser = UINT32_MAX;  // but (uid_t)-1, which is nobody's
constexpr size_t kMaxMap = 64 * 1024;

// A map that cannot be read leaves it open.
bool namespace_knows_everyone() {
  const Result<std::string> map = read_file(AT_FDCWD, "/proc/self/uid_map", kMaxMap);
  if (!map) return false;
  std::istringstream lines(*map);
  uint64_t known = 0;
  for (uint64_t inside = 0, outside = 0, count = 0; lines >> inside >> outside >> count;)
    known += count;
  return known >= kEveryUser;
}

}  // namespace

bool is_unknown_user(uid_t uid) {
  return uid == kOverflow && !namespace_knows_everyone();
}

}  // namespace bgtask::io
