// Spawns a task, finds it, reads it, watches it and deletes it, with the installed library and nothing else.
// Arguments: the pool, and the pinger (or nothing).
#include <bgtask/bgtask.h>

#include <cstdlib>
#include <iostream>
#include <string>

namespace {

int failures = 0;

void expect(bool holds, const char* what) {
  if (holds) return;
  std::cerr << "not as it should be: " << what << "\n";
  ++failures;
}

/// The exit code as a Watch tells it; -1 if it tells anything else.
int watched_exit(const bgtask::Task& task) {
  int code = -1;
  bgtask::Watch watch;
  watch.add(task, {.exit = true}, [&](bgtask::Task&, const bgtask::WatchEvent& event) {
    if (event.kind == bgtask::WatchEvent::Kind::kExit) code = event.status.at("exit_code");
  });
  watch.wait(bgtask::Seconds(20));
  return code;
}

void use(const bgtask::TaskPool& pool, const std::string& pinger) {
  bgtask::Task task =
      pool.spawn({.exec = {"/bin/sh", "-c", "echo hello; cat"}, .meta = {{"name", "consumer"}}});
  task.stream("stdin").write_all("world\n");
  task.stream("stdin").close();
  auto waited = task.wait({.timeout = bgtask::Seconds(20)});
  expect(waited.fired == "exit", "the task ends");
  expect(waited.status.at("exit_code") == 0, "it ends with 0");

  auto found = pool.search({{"meta", {{"name", "consumer"}}}});
  expect(found.size() == 1 && found[0].pid() == task.pid(), "it is found by its name");
  if (!pinger.empty()) {
    std::string command = "'" + pinger + "' '" + pool.path().string() + "' " + std::to_string(task.pid());
    expect(std::system(command.c_str()) == 0, "another program can talk to it");
  }
  expect(task.stream("stdout").read().data == "hello\nworld\n", "its output is there after its end");

  expect(watched_exit(task) == 0, "a watch tells its end");

  pid_t pid = task.pid();
  task.remove();
  expect(!pool.task(pid).has_value(), "it is gone");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  try {
    use(bgtask::TaskPool(argv[1], {.mkdir_if_missing = bgtask::MkdirIfMissing{}}), argc > 2 ? argv[2] : "");
  } catch (const bgtask::Error& error) {
    std::cerr << error.code() << ": " << error.what() << "\n";
    return 1;
  }
  return failures == 0 ? 0 : 1;
}
