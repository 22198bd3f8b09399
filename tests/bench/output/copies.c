// Floors of reading retained output: how long it takes to get SIZE bytes of FILE (from OFFSET on) into this
// process, piece by piece. Prints nanoseconds, the least of ROUNDS.
//
//   copies mapped FILE OFFSET SIZE ROUNDS    copied out of a mapping, which is made anew each time
//   copies socket FILE OFFSET SIZE ROUNDS    sent through a socket by another process that has them in memory
#include "common.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { kPiece = 64 * 1024 };

static char buffer[kPiece];

static uint64_t mapped(int fd, size_t offset, size_t size) {
  const uint64_t begin = now_ns();
  char* base = mmap(NULL, offset + size, PROT_READ, MAP_SHARED, fd, 0);
  if (base == MAP_FAILED) die("mmap");
  for (size_t at = 0; at < size; at += kPiece) {
    memcpy(buffer, base + offset + at, size - at < kPiece ? size - at : kPiece);
    __asm__ volatile("" : : "r"(buffer) : "memory");
  }
  munmap(base, offset + size);
  return now_ns() - begin;
}

static uint64_t through_socket(int fd, size_t offset, size_t size) {
  char* base = mmap(NULL, offset + size, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);
  int ends[2];
  if (base == MAP_FAILED || socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) die("socketpair");
  const pid_t other = fork();
  if (other == 0) {
    char request;
    read_all(ends[1], &request, 1);
    write_all(ends[1], base + offset, size);
    _exit(0);
  }
  const uint64_t begin = now_ns();
  write_all(ends[0], "", 1);
  for (size_t got = 0; got < size;) {
    const ssize_t n = read(ends[0], buffer, kPiece);
    if (n <= 0) die("read");
    got += (size_t)n;
  }
  const uint64_t time = now_ns() - begin;
  int status;
  if (waitpid(other, &status, 0) != other || status != 0) die("the sender failed");
  close(ends[0]);
  close(ends[1]);
  munmap(base, offset + size);
  return time;
}

int main(int argc, char** argv) {
  if (argc != 6) return 2;
  const int fd = open(argv[2], O_RDONLY);
  if (fd < 0) die(argv[2]);
  const size_t offset = strtoull(argv[3], NULL, 10);
  const size_t size = strtoull(argv[4], NULL, 10);
  uint64_t least = UINT64_MAX;
  for (int left = atoi(argv[5]); left > 0; --left) {
    const uint64_t time =
        strcmp(argv[1], "mapped") == 0 ? mapped(fd, offset, size) : through_socket(fd, offset, size);
    if (time < least) least = time;
  }
  printf("%llu\n", (unsigned long long)least);
  return 0;
}
