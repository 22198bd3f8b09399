// The same shape as bgtask with nothing in it: bare COMMAND… starts a supervisor (this program again), which
// starts the command, tells that its exec has succeeded, and waits for it. Prints the supervisor's pid. With
// --loop COUNT, as a library would: so many supervisors, and the nanoseconds that each took to answer.

#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { kReply = 3 };

extern char** environ;

static int supervise(char** command) {
  int pipe_of_errors[2];
  setsid();
  fcntl(kReply, F_SETFD, FD_CLOEXEC);
  if (pipe2(pipe_of_errors, O_CLOEXEC) != 0) return 1;
  pid_t pid = vfork();
  if (pid == 0) {
    setsid();
    execvp(command[0], command);
    _exit(127);
  }
  close(pipe_of_errors[1]);
  char byte;
  pid_t self = getpid();
  if (read(pipe_of_errors[0], &byte, 1) != 0) return 1;  // its end, which exec made
  if (write(kReply, &self, sizeof self) != sizeof self) return 1;
  close(kReply);
  int status;
  waitpid(pid, &status, 0);
  return 0;
}

static pid_t start(char** command) {
  char* argv[64] = {"/proc/self/exe", "--supervise"};
  for (int i = 0; command[i] != NULL && i < 60; ++i)
    argv[2 + i] = command[i];
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) exit(1);
  // In a child in between, so that the supervisor is nobody's child.
  pid_t between = vfork();
  if (between == 0) {
    if (vfork() == 0) {
      if (pair[1] == kReply ? fcntl(kReply, F_SETFD, 0) < 0 : dup2(pair[1], kReply) < 0) _exit(1);
      execv(argv[0], argv);
      _exit(1);
    }
    _exit(0);
  }
  int status;
  waitpid(between, &status, 0);
  close(pair[1]);
  pid_t pid = 0;
  if (read(pair[0], &pid, sizeof pid) != sizeof pid) exit(1);
  close(pair[0]);
  return pid;
}

static long long now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000000LL + time.tv_nsec;
}

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  if (strcmp(argv[1], "--supervise") == 0) return supervise(argv + 2);
  if (strcmp(argv[1], "--loop") == 0 && argc > 3) {
    const struct timespec rest = {.tv_nsec = 2000000};
    for (long count = atol(argv[2]); count > 0; --count) {
      nanosleep(&rest, NULL);
      long long begin = now();
      start(argv + 3);
      printf("%lld\n", now() - begin);
    }
    return 0;
  }
  printf("%d\n", start(argv + 1));
  return 0;
}
