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

CursorMark read_cursor_file(const std::string& path) {
  std::ifstream file(path);
  if (!file) {
    if (errno == ENOENT) return {};
    fail("read", path);
  }
  std::string line;
  std::getline(file, line);
  try {
    CursorMark mark{parse_count(line), {}};
    OutputOffsets offsets;
    if (file >> offsets.out >> offsets.err >> offsets.data) mark.offsets = offsets;
    return mark;
  } catch (const UsageError&) {
    throw UsageError("the cursor file " + path + " does not hold a cursor");
  }
}

void write_cursor_file(const std::string& path, const CursorMark& mark) {
  std::string temporary = path + ".XXXXXX";
  const int fd = ::mkostemp(temporary.data(), O_CLOEXEC);
  if (fd < 0) fail("write", path);
  std::string text = std::to_string(mark.cursor) + "\n";
  if (mark.offsets) {
    text += std::to_string(mark.offsets->out) + " " + std::to_string(mark.offsets->err) + " " +
            std::to_string(mark.offsets->data) + "\n";
  }
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
