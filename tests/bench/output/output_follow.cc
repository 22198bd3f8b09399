// Following a task live.
//
//   output_follow POOL PID latency COUNT       of a task that writes the time: the median (ns) from its write
//                                              until it is here, over COUNT lines
//   output_follow POOL PID crowd FOLLOWERS     so many followers, each with its own connection, until the
//   task
//                                              ends: prints the least number of bytes that one of them got
//   output_follow POOL PID asleep FOLLOWERS    so many that subscribe to its output and take nothing, until
//   the
//                                              task ends; prints 0
#include <algorithm>
#include <thread>
#include <vector>

#include "tests/bench/output/probe.h"

namespace bgtask::bench {
namespace {

constexpr std::size_t kTick = 21;  // length of a line of output_writer's

std::uint64_t latency(Task& task, std::size_t count) {
  std::vector<std::uint64_t> times;
  task.follow([&](const Output& output) {
    const std::uint64_t now = now_ns();
    for (const OutputChunk& chunk : output.chunks) {
      for (std::size_t at = 0; at < chunk.data.size(); at += kTick)
        times.push_back(now - std::strtoull(chunk.data.c_str() + at, nullptr, 10));
    }
    return true;
  });
  check(times.size() == count, "not every line came");
  std::nth_element(times.begin(), times.begin() + times.size() / 2, times.end());
  return times[times.size() / 2];
}

std::uint64_t crowd(const Task& task, std::size_t followers) {
  std::vector<std::uint64_t> bytes(followers);
  std::vector<std::thread> threads;
  for (std::uint64_t& mine : bytes) {
    threads.emplace_back([&mine, &task] {
      Task own(task.pid(), task.pool_path());
      own.follow([&mine](const Output& output) {
        for (const OutputChunk& chunk : output.chunks)
          mine += chunk.data.size();
        return true;
      });
    });
  }
  for (std::thread& thread : threads)
    thread.join();
  return *std::min_element(bytes.begin(), bytes.end());
}

std::uint64_t asleep(Task& task, std::size_t followers) {
  std::vector<Task> watching;
  for (std::size_t i = 0; i < followers; ++i) {
    watching.emplace_back(task.pid(), task.pool_path());
    watching.back().call("subscribe", {{"events", {"output"}}});
  }
  task.wait();
  return 0;
}

void measure(char** argv) {
  Task task(std::atoi(argv[2]), argv[1]);
  const std::string mode = argv[3];
  const std::size_t number = std::strtoull(argv[4], nullptr, 10);
  const std::uint64_t result = mode == "latency" ? latency(task, number)
                               : mode == "crowd" ? crowd(task, number)
                                                 : asleep(task, number);
  std::printf("%llu\n", static_cast<unsigned long long>(result));
}

}  // namespace
}  // namespace bgtask::bench

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  return bgtask::bench::run_probe(argv[0], [&] { bgtask::bench::measure(argv); });
}
