// Shared by the cases about a task's life: checks of what is left of a task, and processes of the test that
// must not be signalled.
#pragma once

#include <string>
#include <vector>

#include "tests/faults/fault_test.h"

namespace bgtask::faults {

class LifeTest : public FaultTest {
 protected:
  /// Checks that no process and no file is left but the bystander's and `others`, processes of the test.
  void expect_only_bystander(const std::vector<pid_t>& others = {});
  bool only_bystander_files();
  /// Checks that gc removes what a supervisor left that died during spawn, once the held-back child is gone
  /// too.
  void expect_collected();

  /// Checks that a task spawned under a fault is whole: listed, with the child it names, and adoptable should
  /// its supervisor die. Removes it.
  void expect_whole_then_remove(Task task);

  /// Ends a task in any state (its supervisor may be dead or dying) by delete, or by adopt and delete. Its
  /// processes and files are gone then.
  void remove_whatever_it_is(pid_t id);

  /// Runs `act` and returns the word of the error it throws, "" for none. A word outside the protocol fails
  /// the test.
  static std::string word_of(const std::function<void()>& act);

  void end_supervisor(pid_t pid);
};

/// A process that blocks all signals, so that pending ones show what it was sent. Killed at the end.
class Victim {
 public:
  /// Starts it with this pid if not 0, as leader of its own session and group.
  explicit Victim(pid_t pid = 0);
  ~Victim();
  Victim(const Victim&) = delete;
  Victim& operator=(const Victim&) = delete;
  pid_t pid() const { return pid_; }
  /// Checks that it runs and that no signal is pending.
  void expect_untouched() const;

 private:
  pid_t pid_ = -1;
};

/// The clock tick at which a process started, field 22 of /proc/PID/stat.
uint64_t start_tick_of(pid_t pid);

/// The calls to try: all of them in the nightly tier, else every `step`-th from a chosen one on.
std::vector<SystemCall> selection(const std::vector<SystemCall>& calls, size_t step);
/// The options of strace that make one call fail, or kill its caller.
std::vector<std::string> failing(const SystemCall& call, const std::string& error);
std::vector<std::string> crashing(const SystemCall& call);
/// Whether the kernel can fail this call; it never fails close, for example.
bool can_fail(const SystemCall& call);

}  // namespace bgtask::faults
