// The least that a supervisor in C can be: `bare_c COMMAND ARG…` goes into the background, starts the command
// with a pipe for each output, keeps what comes in a buffer, and sleeps in poll(2). Prints its own pid and
// the command's.
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

static char buffer[1 << 20];

static void say(int fd, pid_t self, pid_t child) {
  char line[64];
  int length = snprintf(line, sizeof line, "%d %d\n", (int)self, (int)child);
  if (write(fd, line, (size_t)length) != length) _exit(1);
}

static pid_t start(char** command, int out, int err, const sigset_t* signals) {
  pid_t child = fork();
  if (child != 0) return child;
  setsid();
  sigprocmask(SIG_UNBLOCK, signals, NULL);
  dup2(out, 1);
  dup2(err, 2);
  execvp(command[0], command);
  _exit(127);
}

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  if (fork() != 0) return 0;
  setsid();
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGCHLD);
  sigaddset(&signals, SIGTERM);
  sigprocmask(SIG_BLOCK, &signals, NULL);
  int out[2], err[2];
  if (pipe2(out, O_CLOEXEC | O_NONBLOCK) != 0 || pipe2(err, O_CLOEXEC | O_NONBLOCK) != 0) return 1;
  pid_t child = start(argv + 1, out[1], err[1], &signals);
  close(out[1]);
  close(err[1]);
  struct pollfd watched[] = {
      {out[0], POLLIN, 0}, {err[0], POLLIN, 0}, {signalfd(-1, &signals, SFD_CLOEXEC), POLLIN, 0}};
  say(1, getpid(), child);
  int null = open("/dev/null", O_RDWR);
  for (int i = 0; i < 3; ++i)
    dup2(null, i);
  close(null);
  for (;;) {
    poll(watched, 3, -1);
    if (watched[2].revents != 0) {
      kill(child, SIGKILL);
      waitpid(child, NULL, 0);
      return 0;
    }
    for (int i = 0; i < 2; ++i) {
      if (watched[i].revents != 0 && read(watched[i].fd, buffer, sizeof buffer) <= 0) watched[i].fd = -1;
    }
  }
}
