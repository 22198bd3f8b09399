// Writing to the stdin of a task that runs `cat`. Prints nanoseconds from the first byte until all have come
// back.
//
//   output_feed POOL PID TOTAL
#include <algorithm>

#include "tests/bench/output/probe.h"

namespace bgtask::bench {
namespace {

constexpr std::uint64_t kPiece = 1 << 20;

void measure(char** argv) {
  Task task(std::atoi(argv[2]), argv[1]);
  const std::uint64_t total = std::strtoull(argv[3], nullptr, 10);
  const std::string piece(kPiece, 'x');
  task.connect();
  const std::uint64_t begin = now_ns();
  const Stream in = task.stream("stdin");
  for (std::uint64_t sent = 0; sent < total; sent += kPiece)
    in.write_all(std::string_view(piece).substr(0, std::min(kPiece, total - sent)));
  in.close();
  task.wait();
  const std::uint64_t time = now_ns() - begin;
  check(task.stream("stdout").limit() == total, "not all of it came back");
  std::printf("%llu\n", static_cast<unsigned long long>(time));
}

}  // namespace
}  // namespace bgtask::bench

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  return bgtask::bench::run_probe(argv[0], [&] { bgtask::bench::measure(argv); });
}
