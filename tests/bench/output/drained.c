// How long a command takes that writes to its stdout: from its start until its end, with all it wrote read.
// Prints "nanoseconds bytes".
//
//   drained null COMMAND ARG…    to /dev/null; bytes are 0
//   drained pipe COMMAND ARG…    to a pipe that this process reads
#include "common.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>

static char buffer[64 * 1024];

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  int ends[2];
  if (strcmp(argv[1], "pipe") == 0) {
    if (pipe2(ends, O_CLOEXEC) != 0) die("pipe");
  } else {
    ends[0] = -1;
    ends[1] = open("/dev/null", O_WRONLY | O_CLOEXEC);
  }
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
  extern char** environ;
  pid_t child;
  const uint64_t begin = now_ns();
  if (posix_spawnp(&child, argv[2], &actions, NULL, argv + 2, environ) != 0) die(argv[2]);
  close(ends[1]);
  uint64_t bytes = 0;
  for (ssize_t n = 1; ends[0] >= 0 && n > 0;) {
    n = read(ends[0], buffer, sizeof buffer);
    if (n < 0) die("read");
    bytes += (uint64_t)n;
  }
  int status;
  if (waitpid(child, &status, 0) != child || status != 0) die("the command failed");
  printf("%llu %llu\n", (unsigned long long)(now_ns() - begin), (unsigned long long)bytes);
  return 0;
}
