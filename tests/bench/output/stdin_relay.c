// The floor of writing to a task's stdin: a sender, a socket, a relay that passes it on to a pipe of `cat`
// and takes what comes back into a ring. Prints nanoseconds from the first byte sent until the last came
// back.
//
//   stdin_relay TOTAL
#include "common.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { kPiece = 256 * 1024, kRing = 1 << 20 };

static char piece[kPiece];
static char ring[kRing];

static void start_cat(int in[2], int out[2]) {
  if (pipe(in) != 0 || pipe(out) != 0) die("pipe");
  if (fork() == 0) {
    dup2(in[0], 0);
    dup2(out[1], 1);
    close(in[0]), close(in[1]), close(out[0]), close(out[1]);
    execlp("cat", "cat", (char*)NULL);
    die("cat");
  }
  close(in[0]);
  close(out[1]);
  fcntl(in[1], F_SETPIPE_SZ, kRing);
  fcntl(out[0], F_SETPIPE_SZ, kRing);
  fcntl(in[1], F_SETFL, O_NONBLOCK);
}

static void relay(int socket, int in, int out, uint64_t total) {
  size_t held = 0;
  size_t begin = 0;
  uint64_t back = 0;
  while (back < total) {
    struct pollfd fds[3] = {
        {held == begin ? socket : -1, POLLIN, 0}, {held > begin ? in : -1, POLLOUT, 0}, {out, POLLIN, 0}};
    if (poll(fds, 3, -1) < 0) die("poll");
    if (fds[0].revents != 0) {
      const ssize_t n = read(socket, piece, kPiece);
      if (n < 0) die("read");
      if (n == 0) close(in), socket = -1;
      begin = 0;
      held = (size_t)(n > 0 ? n : 0);
    }
    if (fds[1].revents != 0) {
      const ssize_t n = write(in, piece + begin, held - begin);
      if (n < 0 && errno != EAGAIN) die("write");
      if (n > 0) begin += (size_t)n;
    }
    if (fds[2].revents != 0) {
      const size_t at = back % kRing;
      const ssize_t n = read(out, ring + at, kRing - at);
      if (n <= 0) die("read from cat");
      back += (uint64_t)n;
    }
  }
}

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const uint64_t total = strtoull(argv[1], NULL, 10);
  int in[2];
  int out[2];
  int ends[2];
  start_cat(in, out);
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) die("socketpair");
  const uint64_t start = now_ns();
  if (fork() == 0) {
    close(ends[0]), close(in[1]), close(out[0]);
    for (uint64_t sent = 0; sent < total; sent += kPiece) {
      write_all(ends[1], piece, total - sent < kPiece ? total - sent : kPiece);
    }
    _exit(0);
  }
  close(ends[1]);
  relay(ends[0], in[1], out[0], total);
  const uint64_t time = now_ns() - start;
  close(in[1]);
  int status;
  while (wait(&status) > 0) {
    if (status != 0) die("a process failed");
  }
  printf("%llu\n", (unsigned long long)time);
  return 0;
}
