// A line to one of many tasks and its echo back, as seen by one Watch over all of them and by a thread for
// each.
#include <benchmark/benchmark.h>
#include <bgtask/task_pool.h>
#include <bgtask/watch.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

namespace {

using bgtask::Task;

/// Tasks that echo their stdin, in a pool of their own.
class Echoes {
 public:
  explicit Echoes(int64_t count) : directory_("/dev/shm/bgtask-micro-XXXXXX") {
    if (::mkdtemp(directory_.data()) == nullptr) std::abort();
    const bgtask::TaskPool pool(directory_, {.supervisor_command = {SUPERVISOR_PROGRAM}});
    for (int64_t i = 0; i < count; ++i)
      tasks.push_back(pool.spawn({.exec = {"/bin/cat"}}));
  }
  ~Echoes() {
    for (Task& task : tasks)
      Task(task.pid(), directory_).remove({.grace = bgtask::Seconds(0)});
    std::filesystem::remove_all(directory_);
  }
  Task& next() { return tasks[next_++ % tasks.size()]; }
  const std::string& directory() const { return directory_; }

  std::vector<Task> tasks;

 private:
  std::string directory_;
  std::size_t next_ = 0;
};

void echo_to_watch(benchmark::State& state) {
  Echoes echoes(state.range(0));
  bgtask::Watch watch;
  std::size_t heard = 0;
  for (const Task& task : echoes.tasks) {
    watch.add(task, {.exit = false, .output = bgtask::OutputOptions()},
              [&](Task&, const bgtask::WatchEvent&) { ++heard; });
  }
  while (watch.wait(bgtask::Seconds(0.1)) > 0) {
  }
  std::size_t sent = 0;
  for (auto _ : state) {
    echoes.next().stream("stdin").write("x\n");
    ++sent;
    while (heard < sent)
      watch.wait();
  }
}

void echo_to_threads(benchmark::State& state) {
  std::vector<std::thread> threads;
  std::atomic<std::size_t> heard = 0;
  {
    Echoes echoes(state.range(0));
    for (const Task& task : echoes.tasks) {
      threads.emplace_back([&heard, own = Task(task.pid(), echoes.directory())]() mutable {
        own.follow([&heard](const bgtask::Output&) {
          ++heard;
          heard.notify_one();
          return true;
        });
      });
    }
    std::size_t sent = 0;
    for (auto _ : state) {
      echoes.next().stream("stdin").write("x\n");
      ++sent;
      for (std::size_t seen; (seen = heard) < sent;)
        heard.wait(seen);
    }
  }  // with the tasks gone the threads end
  for (std::thread& thread : threads)
    thread.join();
}

BENCHMARK(echo_to_watch)->Arg(1)->Arg(64)->UseRealTime();
BENCHMARK(echo_to_threads)->Arg(1)->Arg(64)->UseRealTime();

}  // namespace
