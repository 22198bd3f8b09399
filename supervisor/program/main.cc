#include <cstring>

#include "supervisor/program/foreground.h"
#include "supervisor/program/launched.h"

int main(int argc, char** argv) {
  if (argc > 1 && std::strcmp(argv[1], "--launch") == 0) return bgtask::supervisor::run_launched();
  return bgtask::supervisor::run_foreground(argc, argv);
}
