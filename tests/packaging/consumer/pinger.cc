// Talks to a task with the client library alone. Arguments: the pool and the task's pid.
#include <bgtask/task.h>

#include <cstdlib>
#include <iostream>

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  bgtask::Task task(static_cast<pid_t>(std::atol(argv[2])), argv[1]);
  try {
    return task.call("ping") == "pong" ? 0 : 1;
  } catch (const bgtask::Error& error) {
    std::cerr << error.code() << ": " << error.what() << "\n";
    return 1;
  }
}
