// `crowd_probe POOL COUNT SUPERVISOR COMMAND ARG…`: starts so many tasks through the library, each with
// metadata to search by, and prints their pids and the seconds that took.
#include <bgtask/bgtask.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

int main(int argc, char** argv) {
  if (argc < 5) return 2;
  const bgtask::TaskPool pool(argv[1], {.supervisor_command = {argv[3]}});
  const int count = std::atoi(argv[2]);
  const std::vector<std::string> command(argv + 4, argv + argc);
  std::vector<pid_t> pids;
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < count; ++i) {
    bgtask::Json meta{{"name", "task " + std::to_string(i)},
                      {"team", i % 10 == 0 ? "web" : "batch"},
                      {"progress", {{"phase", "idle"}, {"percent", i % 100}}}};
    pids.push_back(
        pool.spawn({.exec = command, .env = {}, .clear_env = true, .meta = std::move(meta)}).pid());
  }
  const double took = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  for (const pid_t pid : pids)
    std::printf("%d\n", pid);
  std::printf("%.9f\n", took);
}
