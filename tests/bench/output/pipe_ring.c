// The floor of taking in output: a pipe grown to 1 MiB, read into a ring of 1 MiB of memory, and nothing
// else.
//
//   pipe_ring COMMAND ARG…     prints "bytes cpu" (its own cpu, ns) when the command has ended
#include "common.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/uio.h>
#include <sys/wait.h>

enum { kRing = 1 << 20, kMost = kRing / 4 };

int main(int argc, char** argv) {
  (void)argc;
  int ends[2];
  char* ring = malloc(kRing);
  if (ring == NULL || pipe2(ends, O_CLOEXEC) != 0) die("pipe");
  memset(ring, 0, kRing);
  fcntl(ends[0], F_SETPIPE_SZ, kRing);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
  pid_t child;
  extern char** environ;
  if (posix_spawn(&child, argv[1], &actions, NULL, argv + 1, environ) != 0) die(argv[1]);
  close(ends[1]);
  uint64_t limit = 0;
  for (;;) {
    const size_t at = limit % kRing;
    const size_t first = kRing - at < kMost ? kRing - at : kMost;
    struct iovec pieces[2] = {{ring + at, first}, {ring, kMost - first}};
    ssize_t n = readv(ends[0], pieces, first < kMost ? 2 : 1);
    if (n < 0) die("readv");
    if (n == 0) break;
    limit += (uint64_t)n;
  }
  int status;
  if (waitpid(child, &status, 0) != child || status != 0) die("the writer failed");
  printf("%llu %llu\n", (unsigned long long)limit, (unsigned long long)cpu_ns());
  return 0;
}
