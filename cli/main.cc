// bgtask: the command line.

#include <fcntl.h>
#include <malloc.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <new>
#include <string>
#include <vector>

#include "cli/exit_status.h"
#include "cli/program.h"

namespace {

// Whoever starts us with 0, 1 or 2 closed would have the next file opened, a socket perhaps, take words meant
// for people. What is opened here fails when it is used the way the descriptor is meant to be.
void occupy_standard_descriptors() {
  for (int fd = 0; fd <= 2; ++fd) {
    if (::fcntl(fd, F_GETFD) >= 0) continue;
    if (::open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY) != fd) ::_exit(125);
  }
}

// A reader that has gone away ends us as it ends any filter, also where the caller ignores SIGPIPE.
void die_of_closed_pipes() {
  std::signal(SIGPIPE, SIG_DFL);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGPIPE);
  ::sigprocmask(SIG_UNBLOCK, &set, nullptr);
}

// What is freed is needed again for the next piece of output, and the end gives all back: the kernel would
// clear every page anew.
void keep_freed_memory() {
  ::mallopt(M_TRIM_THRESHOLD, 64 << 20);
  ::mallopt(M_MMAP_THRESHOLD, 16 << 20);
}

}  // namespace

int main(int argc, char** argv) {
  occupy_standard_descriptors();
  die_of_closed_pipes();
  keep_freed_memory();
  try {
    return bgtask::cli::run_program(std::vector<std::string>(argv + (argc > 0 ? 1 : 0), argv + argc));
  } catch (const std::bad_alloc&) {
    std::fputs("bgtask: out of memory\n", stderr);
    return bgtask::cli::kExitFailure;
  }
}
