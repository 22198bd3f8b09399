// Reading back what a task has retained. Prints nanoseconds, the least of ROUNDS.
//
//   output_read_back POOL PID SIZE ROUNDS peek      stdout in pieces of 1 MiB
//   output_read_back POOL PID SIZE ROUNDS output    all streams in order, by cursor
//   output_read_back POOL PID SIZE 1 read           consuming, through the supervisor
#include <algorithm>

#include "tests/bench/output/probe.h"

namespace bgtask::bench {
namespace {

constexpr std::uint64_t kPiece = 1 << 20;

std::uint64_t peek_all(const Task& task, std::uint64_t begin, std::uint64_t end) {
  std::uint64_t bytes = 0;
  const Stream out = task.stream("stdout");
  while (begin < end) {
    const ReadResult page = out.peek(begin, std::min(begin + kPiece, end));
    check(page.missed == 0 && !page.data.empty(), "something is missing");
    begin += page.data.size();
    bytes += page.data.size();
  }
  return bytes;
}

std::uint64_t output_all(Task& task) {
  std::uint64_t bytes = 0;
  for (std::uint64_t cursor = 0;;) {
    const Output page = task.output({.cursor = cursor, .max_bytes = kPiece});
    check(!page.lost.any(), "something is lost");
    if (page.chunks.empty()) return bytes;
    for (const OutputChunk& chunk : page.chunks)
      bytes += chunk.data.size();
    cursor = page.next;
  }
}

std::uint64_t read_all(const Task& task) {
  std::uint64_t bytes = 0;
  for (;;) {
    const ReadResult page = task.stream("stdout").read();
    check(page.missed == 0, "something is missing");
    if (page.data.empty()) return bytes;
    bytes += page.data.size();
  }
}

void measure(char** argv) {
  Task task(std::atoi(argv[2]), argv[1]);
  const std::uint64_t size = std::strtoull(argv[3], nullptr, 10);
  const std::string mode = argv[5];
  task.connect();
  std::uint64_t least = UINT64_MAX;
  for (int left = std::atoi(argv[4]); left > 0; --left) {
    const std::uint64_t limit = task.stream("stdout").limit();
    const std::uint64_t begin = now_ns();
    const std::uint64_t bytes = mode == "peek"     ? peek_all(task, limit - size, limit)
                                : mode == "output" ? output_all(task)
                                                   : read_all(task);
    least = std::min(least, now_ns() - begin);
    check(bytes == size, "not all of it came");
  }
  std::printf("%llu\n", static_cast<unsigned long long>(least));
}

}  // namespace
}  // namespace bgtask::bench

int main(int argc, char** argv) {
  if (argc != 6) return 2;
  return bgtask::bench::run_probe(argv[0], [&] { bgtask::bench::measure(argv); });
}
