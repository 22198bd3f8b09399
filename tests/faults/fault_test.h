// Base of every case of the fault suite: private namespaces, a pool on a small tmpfs, a bystander task that
// must stay untouched, ways to inject faults, and an oracle at the end.
#pragma once

#include <string>
#include <vector>

#include "tests/e2e/fixture.h"
#include "tests/faults/footprint.h"
#include "tests/faults/preload_control.h"

namespace bgtask::faults {

using e2e::eventually;
using e2e::Milliseconds;
/// Patience for processes that no call waits for and that end soon, such as the guard of a failed start.
inline constexpr Milliseconds kOnItsWayOut{5'000};

/// Whether the nightly tier runs (BGTASK_FAULTS=nightly).
bool nightly();
/// One number for the commit tier, another for the nightly tier.
template <class T>
T scaled(T commit, T night) {
  return nightly() ? night : commit;
}
/// The seed of random cases, printed when a case fails: BGTASK_SEED, else a constant so that a commit's run
/// is repeatable.
unsigned seed();

/// One system call of a recorded run: the `nth` (from 1) of its name.
struct SystemCall {
  std::string name;
  int nth;
};

class FaultTest : public e2e::E2eTest {
 protected:
  void SetUp() override;
  void TearDown() override;

  /// Options of the tmpfs that the pool lies on; "" for none.
  virtual std::string mount_options() const { return "size=256m,mode=0755"; }
  virtual bool wants_bystander() const { return true; }

  Task& bystander() { return *bystander_; }
  /// Runs the final check now: the bystander answers, runs, and holds the same resources as before.
  void expect_bystander_unharmed();

  /// A pool whose supervisors run under strace with these options (each "-e", "inject=…" is two). They keep
  /// their pids. Only the supervisor is traced unless the options have "-f".
  TaskPool traced(std::vector<std::string> strace_options) const;
  /// The system calls that a supervisor makes from its exec on while `act` uses the pool it is given.
  std::vector<SystemCall> calls_made(const std::function<void(const TaskPool&)>& act) const;
  /// The same of a supervisor that runs already.
  std::vector<SystemCall> calls_made_by(pid_t supervisor, const std::function<void()>& act) const;
  /// A pool with supervisors that obey control(): dynamically linked, with tests/faults/preload.cc.
  TaskPool controlled();
  PreloadControl& control() { return *control_; }

  /// Remounts the pool's file system with other options, e.g. "size=64k"; "ro" only while no task runs (a
  /// file system with files open for writing cannot become read-only).
  void remount(const std::string& options) const;
  /// Takes all space of the pool's file system but `leave` bytes; free_up() gives it back.
  void fill_up(off_t leave = 0) const;
  void free_up() const;
  /// Makes the next process get this pid, if it is free.
  static void choose_next_pid(pid_t pid);

 private:
  void prepare_base(const std::filesystem::path& base) override;
  void release_base(const std::filesystem::path& base) override;
  std::optional<Task> bystander_;
  Footprint bystander_before_;
  Footprint self_before_;
  PreloadControl* control_ = nullptr;
};

/// strace attached to a running process, for as long as this lives. Attached when the constructor returns.
class Attached {
 public:
  Attached(pid_t pid, std::vector<std::string> strace_options);
  ~Attached();
  Attached(const Attached&) = delete;
  Attached& operator=(const Attached&) = delete;

 private:
  pid_t strace_ = -1;
};

}  // namespace bgtask::faults
