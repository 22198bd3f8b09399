// timed COUNT GAP_US COMMAND [ARG…]: runs the command so many times and prints for each the time before its
// start and after its end, in nanoseconds of CLOCK_MONOTONIC. The command's output goes to /dev/null. Ends
// with 1 unless the command always ends with status 0.

#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char** environ;

static long long now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000000LL + time.tv_nsec;
}

int main(int argc, char** argv) {
  if (argc < 4) return 2;
  long count = atol(argv[1]);
  struct timespec gap = {.tv_sec = atol(argv[2]) / 1000000, .tv_nsec = atol(argv[2]) % 1000000 * 1000};
  long long(*times)[2] = calloc((size_t)count, sizeof *times);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  for (long i = 0; i < count; ++i) {
    if (gap.tv_sec || gap.tv_nsec) nanosleep(&gap, NULL);
    pid_t pid;
    int status;
    times[i][0] = now();
    int error = posix_spawnp(&pid, argv[3], &actions, NULL, argv + 3, environ);
    if (error) {
      fprintf(stderr, "%s: %s\n", argv[3], strerror(error));
      return 1;
    }
    if (waitpid(pid, &status, 0) != pid || status != 0) {
      fprintf(stderr, "%s: wait status %d\n", argv[3], status);
      return 1;
    }
    times[i][1] = now();
  }
  for (long i = 0; i < count; ++i)
    printf("%lld %lld\n", times[i][0], times[i][1]);
  return 0;
}
