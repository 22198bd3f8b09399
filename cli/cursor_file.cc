#include "cli/cursor_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "cli/sizes_and_times.h"
#include "cli/usage_error.h"

namespace bgtask::cli {
namespace {

[[noreturn]] void fail(const std::string& what, const std::string& path) {
  throw UsageError("cannot " + what + " the cursor file " + path + ": " + std::strerror(errno));
}

}  // namespace

std::uint64_t read_cursor_file(const std::string& path) {
  std::ifstream file(path);
  if (!file) {
    if (errno == ENOENT) return 0;
    fail("read", path);
  }
  std::string line;
  std::getline(file, line);
  try {
    return parse_count(line);
  } catch (const UsageError&) {
    throw UsageError("the cursor file " + path + " does not hold a cursor");
  }
}

void write_cursor_file(const std::string& path, std::uint64_t cursor) {
  std::string temporary = path + ".XXXXXX";
  const int fd = ::mkostemp(temporary.data(), O_CLOEXEC);
  if (fd < 0) fail("write", path);
  const std::string text = std::to_string(cursor) + "\n";
  const bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  const bool closed = ::close(fd) == 0;
  if (!written || !closed || ::rename(temporary.c_str(), path.c_str()) != 0) {
    const int error = errno;
    ::unlink(temporary.c_str());
    errno = error;
    fail("write", path);
  }
}

}  // namespace bgtask::cli
