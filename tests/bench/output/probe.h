// What the probes share: they are programs that use the library as anybody's would.
#pragma once

#include <bgtask/bgtask.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <stdexcept>
#include <string>

namespace bgtask::bench {

inline std::uint64_t now_ns() {
  return static_cast<std::uint64_t>(
      std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count());
}

inline void check(bool fine, const char* what) {
  if (!fine) throw std::runtime_error(what);
}

/// main() of a probe: what goes wrong is said and is a failure.
template <class F>
int run_probe(const char* name, F&& body) {
  try {
    body();
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", name, error.what());
    return 1;
  }
}

}  // namespace bgtask::bench
