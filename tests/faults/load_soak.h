// Random clients for the soak: each calls random methods on random tasks and reports violations.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "tests/faults/fault_test.h"

namespace bgtask::faults {

/// The child of every soak task writes identical pieces of this size, so that the offset determines the byte
/// in every run. A piece goes into a pipe whole or not at all.
inline constexpr size_t kPieceSize = 4'096;
/// Index of the first wrong byte of `data`, which was read at `offset`; data.size() if all are right.
size_t first_wrong(std::string_view data, uint64_t offset);

class SoakClient {
 public:
  SoakClient(const TaskPool& pool, std::vector<std::string> command, unsigned seed, int number);

  /// Runs until then. Returns a line beginning with "WRONG" for each violation, then "did NAME COUNT" lines.
  std::string run(std::chrono::steady_clock::time_point end);

  /// Tasks of the soak.
  static std::vector<Task> tasks(const TaskPool& pool, std::vector<SkippedEntry>* skipped = nullptr);
  /// Or a guard, which is the same program.
  static bool is_supervisor(pid_t pid);

 private:
  struct Act {
    const char* name;
    int weight;
    void (SoakClient::*run)(Task&);
    std::vector<std::string> may_say;  // error words, beside those that anything may say
  };
  static const std::vector<Act>& acts();

  void step();
  void perform(const Act& act, Task& task);
  void wrong(const std::string& what);
  void check(const char* what, std::string_view data, uint64_t offset);
  template <class T>
  T any(std::vector<T> values) {
    return values[random_() % values.size()];
  }

  void spawn();
  void read(Task& task);
  void peek(Task& task);
  void output(Task& task);
  void follow(Task& task);
  void kill(Task& task);
  void pause(Task& task);
  void restart(Task& task);
  void remove(Task& task);
  void meta(Task& task);
  void wait(Task& task);
  void write(Task& task);
  void discard(Task& task);
  void malformed(Task& task);
  void kill_supervisor(Task& task);
  void adopt(Task& task);
  void gc(Task& task);

  const TaskPool& pool_;
  std::vector<std::string> command_;
  std::mt19937 random_;
  int number_;
  int steps_ = 0;
  int serial_ = 0;
  std::string report_;
  size_t wrongs_ = 0;
  std::map<std::string, int> did_;
};

}  // namespace bgtask::faults
