// spawn_probe POOL SUPERVISOR MEBIBYTES THREADS DESCRIPTORS: makes itself so large, says "ready", and then
// for each line "COUNT" on stdin spawns so many tasks, one after the other, and prints the median time of
// TaskPool::spawn in nanoseconds. Removing the tasks is not in it.

#include <bgtask/bgtask.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <memory>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

bgtask::Task spawn_one(const bgtask::TaskPool& pool) {
  return pool.spawn({.exec = {"/bin/true"}, .stdin = bgtask::StdinMode::kNull});
}

void check_ended(bgtask::Task& task) {
  const auto result = task.wait();
  if (result.status.at("exit_code") != 0) throw std::runtime_error("the task did not end with 0");
}

long long median_of(const bgtask::TaskPool& pool, int count) {
  std::vector<long long> times;
  for (int i = 0; i < count; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    const auto begin = Clock::now();
    bgtask::Task task = spawn_one(pool);
    times.push_back(std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - begin).count());
    check_ended(task);
    task.remove();
  }
  std::nth_element(times.begin(), times.begin() + count / 2, times.end());
  return times[static_cast<std::size_t>(count) / 2];
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) return 2;
  ::setenv("BGTASK_SUPERVISOR", argv[2], 1);
  const bgtask::TaskPool pool(argv[1]);
  const std::size_t bytes = std::strtoull(argv[3], nullptr, 10) << 20;
  const std::unique_ptr<char[]> memory(new char[bytes + 1]);
  std::memset(memory.get(), 1, bytes + 1);
  for (int i = std::atoi(argv[4]); i > 0; --i)
    std::thread([] { ::pause(); }).detach();
  for (int i = std::atoi(argv[5]); i > 0; --i) {
    if (::open("/dev/null", O_RDONLY) < 0) return 1;
  }
  std::cout << "ready" << std::endl;
  for (int count = 0; std::cin >> count;)
    std::cout << median_of(pool, count) << std::endl;
  std::_Exit(0);  // the threads sleep on
}
