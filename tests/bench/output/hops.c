// Floors of following output live: a writer, somebody in between, a reader. Prints the median time (ns) from
// just before the write until the reader has read it, over COUNT writes so many microseconds apart.
//
//   hops sockets COUNT MICROS    writer → socket → between → socket → reader
//   hops pipe COUNT MICROS       writer → pipe → between → socket → reader
#include "common.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>

static void writer(int to, int count, uint64_t pause) {
  for (int i = 0; i < count; ++i) {
    struct timespec time = {0, (long)pause};
    nanosleep(&time, NULL);
    const uint64_t now = now_ns();
    write_all(to, (const char*)&now, sizeof now);
  }
}

// As anybody with an event loop does it.
static void between(int from, int to) {
  const int epoll = epoll_create1(0);
  struct epoll_event event = {.events = EPOLLIN};
  if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, from, &event) != 0) die("epoll");
  for (;;) {
    uint64_t time;
    if (epoll_wait(epoll, &event, 1, -1) < 0) die("epoll_wait");
    if (read(from, &time, sizeof time) != sizeof time) return;
    write_all(to, (const char*)&time, sizeof time);
  }
}

static int ascending(const void* a, const void* b) {
  const uint64_t x = *(const uint64_t*)a;
  const uint64_t y = *(const uint64_t*)b;
  return (x > y) - (x < y);
}

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  const int count = atoi(argv[2]);
  const uint64_t pause = strtoull(argv[3], NULL, 10) * 1000;
  int first[2];
  int second[2];
  const int made = strcmp(argv[1], "pipe") == 0 ? pipe(first) : socketpair(AF_UNIX, SOCK_STREAM, 0, first);
  if (made != 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, second) != 0) die("cannot make channels");
  if (fork() == 0) {
    writer(first[1], count, pause);
    _exit(0);
  }
  close(first[1]);
  if (fork() == 0) {
    between(first[0], second[1]);
    _exit(0);
  }
  close(first[0]);
  close(second[1]);
  uint64_t* times = malloc((size_t)count * sizeof *times);
  if (times == NULL) die("malloc");
  for (int i = 0; i < count; ++i) {
    uint64_t sent;
    read_all(second[0], (char*)&sent, sizeof sent);
    times[i] = now_ns() - sent;
  }
  int status;
  while (wait(&status) > 0) {
    if (status != 0) die("a process failed");
  }
  qsort(times, (size_t)count, sizeof *times, ascending);
  printf("%llu\n", (unsigned long long)times[count / 2]);
  return 0;
}
