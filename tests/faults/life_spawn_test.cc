// The supervisor dies, or a system call fails, at each call of a spawn: the result is a whole task, or a
// typed error with nothing left.
#include <csignal>

#include "tests/faults/life_fixture.h"

namespace bgtask::faults {
namespace {

class LifeOfSpawn : public LifeTest {
 protected:
  SpawnOptions options() const { return {.exec = awkward_command({"sleep"})}; }

  /// The calls of a supervisor from its exec to its answer, and a little further.
  std::vector<SystemCall> calls_of_spawn() {
    return calls_made([this](const TaskPool& pool) {
      Task task = pool.spawn(options());
      const pid_t child = child_of(task);
      end_supervisor(task.pid());
      e2e::send_signal(child, SIGKILL);
      EXPECT_TRUE(eventually([&] { return e2e::gone(child); }));
      pool.gc();
    });
  }
  /// Spawns under a fault. Returns the error's word, "" if there was a task, which is deleted again.
  std::string spawn_with(const std::vector<std::string>& fault) {
    std::optional<Task> task;
    const std::string word = word_of([&] { task = traced(fault).spawn(options()); });
    if (task) expect_whole_then_remove(*task);
    return word;
  }
};

TEST_F(LifeOfSpawn, G1_IsAllOrNothingWhereverTheSupervisorDies) {
  for (const SystemCall& call : selection(calls_of_spawn(), 3)) {
    SCOPED_TRACE("killed at " + call.name + " number " + std::to_string(call.nth));
    spawn_with(crashing(call));
    expect_collected();
    expect_only_bystander();
  }
}

TEST_F(LifeOfSpawn, G1_G8_IsAllOrNothingWhateverCallFails) {
  const std::vector<std::string> errors = {"EIO", "ENOMEM", "EINTR", "ENOSPC", "EACCES", "EMFILE", "EAGAIN"};
  size_t next = 0;
  for (const SystemCall& call : selection(calls_of_spawn(), 2)) {
    if (!can_fail(call)) continue;
    const size_t tries = scaled<size_t>(1, errors.size());
    for (size_t i = 0; i < tries; ++i) {
      const std::string& error = errors[next++ % errors.size()];
      SCOPED_TRACE(call.name + " number " + std::to_string(call.nth) + " failed with " + error);
      const std::string word = spawn_with(failing(call, error));
      // A supervisor that reported the error left nothing; one that died leaves what gc removes.
      if (word == "lost") expect_collected();
      expect_only_bystander();
    }
  }
}

}  // namespace
}  // namespace bgtask::faults
