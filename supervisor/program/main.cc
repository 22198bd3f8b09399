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

int main(int argc, char** argv) {
  if (argc > 1 && std::strcmp(argv[1], "--launch") == 0) return bgtask::supervisor::run_launched();
  const bool asked =
      argc > 1 && (std::strcmp(argv[1], "--help") == 0 || std::strcmp(argv[1], "--version") == 0);
  std::fputs(kUsage, asked ? stdout : stderr);
  return asked ? 0 : kWrongUsage;
}
