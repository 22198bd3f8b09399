// echo COUNT SIZE CPU: the mean time of a message there and back over a Unix socket between two processes, in
// nanoseconds. CPU is the one that both are pinned to; with -1 they run where they like.

#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static long long now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000000LL + time.tv_nsec;
}

int main(int argc, char** argv) {
  static char message[1 << 16];
  if (argc != 4) return 2;
  long count = atol(argv[1]);
  ssize_t size = atol(argv[2]);
  int cpu = atoi(argv[3]);
  if (cpu >= 0) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0) return 1;
  }
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0) return 1;
  if (fork() == 0) {
    close(pair[0]);
    ssize_t got;
    while ((got = read(pair[1], message, sizeof message)) > 0) {
      if (write(pair[1], message, (size_t)got) != got) _exit(1);
    }
    _exit(0);
  }
  close(pair[1]);
  long long begin = 0;
  for (long i = -count / 10; i < count; ++i) {  // the first are for warmth
    if (i == 0) begin = now();
    if (write(pair[0], message, (size_t)size) != size) return 1;
    for (ssize_t got = 0; got < size;) {
      ssize_t more = read(pair[0], message, sizeof message);
      if (more <= 0) return 1;
      got += more;
    }
  }
  printf("%lld\n", (now() - begin) / count);
  return 0;
}
