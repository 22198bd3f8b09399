// What the cases about a task's life share: what is to be left of a task that something was done to, and
// processes of the test that nobody may signal.
#pragma once

#include <string>
#include <vector>

#include "tests/faults/fault_test.h"

namespace bgtask::faults {

class LifeTest : public FaultTest {
 protected:
  /// Nothing of this machine but the bystander (and `others`, processes of the test): no process, no file.
  void expect_only_bystander(const std::vector<pid_t>& others = {});
  bool only_bystander_files();
  /// What a supervisor left that died while it spawned: gc removes it, as soon as the child that waited for
  /// its leave is gone too.
  void expect_collected();

  /// A task that was spawned under a fault is whole: listed, with the child that it says, and identified so
  /// well that it can be adopted should its supervisor die. Removes it.
  void expect_whole_then_remove(Task task);

  /// A task whatever became of it (its supervisor may be dead or die at this moment) is put to its end: by
  /// delete, by adopt and delete. Its processes and files are gone then.
  void remove_whatever_it_is(pid_t id);

  /// Runs `act`, which may throw what a client is told; the error's word, "" for none. Any other word than
  /// those of the protocol is a failed test.
  static std::string word_of(const std::function<void()>& act);

  void end_supervisor(pid_t pid);
};

/// A process that blocks all signals and so shows which it was sent; killed at the end, if it still lives.
class Victim {
 public:
  /// With this pid if it is not 0; the leader of a session and of a group of its own.
  explicit Victim(pid_t pid = 0);
  ~Victim();
  Victim(const Victim&) = delete;
  Victim& operator=(const Victim&) = delete;
  pid_t pid() const { return pid_; }
  /// It lives, goes on, and no signal waits for it.
  void expect_untouched() const;

 private:
  pid_t pid_ = -1;
};

/// The clock tick at which a process started, field 22 of /proc/PID/stat.
uint64_t start_tick_of(pid_t pid);

/// Of all calls those to be tried: each at night; else every `step`-th, beginning with a chosen one.
std::vector<SystemCall> selection(const std::vector<SystemCall>& calls, size_t step);
/// The options of strace that make one call fail, or kill its caller.
std::vector<std::string> failing(const SystemCall& call, const std::string& error);
std::vector<std::string> crashing(const SystemCall& call);
/// Whether failing this call is a fault that can be: the kernel never fails close, for example.
bool can_fail(const SystemCall& call);

}  // namespace bgtask::faults
