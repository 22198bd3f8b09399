// catcher FILE: appends to FILE the time at which it has each SIGUSR1, in nanoseconds of CLOCK_MONOTONIC. The
// first line, "ready", says that it listens.

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  int fd = open(argv[1], O_WRONLY | O_APPEND | O_CREAT, 0600);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  sigprocmask(SIG_BLOCK, &set, NULL);
  if (write(fd, "ready\n", 6) != 6) return 1;
  for (;;) {
    if (sigwaitinfo(&set, NULL) != SIGUSR1) continue;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    char line[32];
    int length = snprintf(line, sizeof line, "%lld\n", now.tv_sec * 1000000000LL + now.tv_nsec);
    if (write(fd, line, (size_t)length) != length) return 1;
  }
}
