#include "protocol/io/users.h"

#include <fcntl.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>

#include "protocol/io/files.h"

namespace bgtask::io {
namespace {

constexpr uid_t kOverflow = 65'534;          // kernel/sys.c: DEFAULT_OVERFLOWUID
constexpr uint64_t kEveryUser = UINT32_MAX;  // all but (uid_t)-1, which is no user
constexpr size_t kMaxMap = 64 * 1024;

// Takes the leading number, after blanks, off `text`.
bool take_number(std::string_view& text, uint64_t& number) {
  text.remove_prefix(std::min(text.find_first_not_of(" \n"), text.size()));
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return error == std::errc();
}

// Lines of three numbers: first inside, first outside, count. Parsed without iostreams, whose locales make up
// a quarter of a static program. An unreadable map leaves the question open.
bool namespace_knows_everyone() {
  const Result<std::string> map = read_file(AT_FDCWD, "/proc/self/uid_map", kMaxMap);
  if (!map) return false;
  std::string_view text = *map;
  uint64_t known = 0;
  for (uint64_t inside = 0, outside = 0, count = 0;
       take_number(text, inside) && take_number(text, outside) && take_number(text, count);)
    known += count;
  return known >= kEveryUser;
}

}  // namespace

bool is_unknown_user(uid_t uid) {
  return uid == kOverflow && !namespace_knows_everyone();
}

}  // namespace bgtask::io
