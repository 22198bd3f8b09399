#include "tests/fuzz/fuzz_target.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace bgtask::fuzz {

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "finding: %s\n", what);
  std::abort();
}

std::string_view Input::bytes(size_t most) {
  const std::string_view taken = rest_.substr(0, most);
  rest_.remove_prefix(taken.size());
  return taken;
}

uint64_t Input::number(size_t width) {
  uint64_t value = 0;
  for (const char c : bytes(width))
    value = value << 8 | static_cast<uint8_t>(c);
  return value;
}

namespace {

// Processes that the target forks must not remove it when they end.
struct Scratch {
  std::filesystem::path path;
  pid_t owner = ::getpid();
  Scratch() {
    std::string name = "/dev/shm/bgtask-fuzz-XXXXXX";
    require(::mkdtemp(name.data()) != nullptr, "a directory can be made in /dev/shm");
    path = name;
  }
  ~Scratch() {
    std::error_code ignored;
    if (::getpid() == owner) std::filesystem::remove_all(path, ignored);
  }
};

}  // namespace

const std::filesystem::path& scratch() {
  static const Scratch directory;
  return directory.path;
}

}  // namespace bgtask::fuzz
