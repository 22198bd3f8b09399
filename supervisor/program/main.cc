#include <cstdio>
#include <cstring>

#include "supervisor/program/launched.h"

namespace {

constexpr int kWrongUsage = 125;
constexpr char kUsage[] = "bgtask-supervisor " BGTASK_VERSION
                          "\n"
                          "Supervises one background task. It is started by 'bgtask run' and by the library. "
                          "For a service manager,\n"
                          "'bgtask run --behavior foreground' becomes the supervisor.\n";

}  // namespace

#if defined(BGTASK_SANITIZE)
// LeakSanitizer stops a process at its end through a tracer that it clones and waits for; in a process that
// reaps everything below it that wait does not always end. The environment, where this could be said, is not
// passed to a supervisor.
extern "C" const char* __asan_default_options() {
  return "detect_leaks=0";
}
#endif

int main(int argc, char** argv) {
  if (argc > 1 && std::strcmp(argv[1], "--launch") == 0) return bgtask::supervisor::run_launched();
  const bool asked =
      argc > 1 && (std::strcmp(argv[1], "--help") == 0 || std::strcmp(argv[1], "--version") == 0);
  std::fputs(kUsage, asked ? stdout : stderr);
  return asked ? 0 : kWrongUsage;
}
