// Each system call of the child between fork and exec fails in turn, or kills the child.
#include <cerrno>

#include "tests/faults/life_fixture.h"

namespace bgtask::faults {
namespace {

class LifeOfChild : public LifeTest {
 protected:
  SpawnOptions options() const {
    SpawnOptions options;
    options.exec = awkward_command({"sleep"});
    options.cwd = base().string();
    options.user = "nobody";
    options.nice = 5;
    options.limits = {{"nofile", {64, 64}}};
    return options;
  }
  /// Spawns with the call of that number failing. Returns the error's word, "" if there was a task, which is
  /// deleted again.
  std::string spawn_with(int64_t call, int error) {
    control().child_calls_seen = 0;
    control().child_errno = error;
    control().child_call = call;
    std::optional<Task> task;
    const std::string word = word_of([&] { task = controlled().spawn(options()); });
    control().child_call = 0;
    if (task) expect_whole_then_remove(*task);
    return word;
  }
  int64_t calls() {
    controlled();
    EXPECT_EQ(spawn_with(0, 0), "");
    return control().child_calls_seen.load();
  }
};

TEST_F(LifeOfChild, G1_KilledBeforeItsExecItWasNeverStarted) {
  const int64_t count = calls();
  ASSERT_GT(count, 15);
  for (int64_t call = 1; call <= count; ++call) {
    SCOPED_TRACE("call " + std::to_string(call) + " of " + std::to_string(count));
    EXPECT_EQ(spawn_with(call, -1), "exec_failed");
    expect_only_bystander();
  }
}

TEST_F(LifeOfChild, G1_G8_EachCallThatFailsIsATypedErrorOrDoesNoHarm) {
  const int64_t count = calls();
  int failed = 0;
  for (int64_t call = 1; call <= count; ++call) {
    for (const int error : {EPERM, EIO, ENOMEM, EMFILE, EACCES, EAGAIN}) {
      SCOPED_TRACE("call " + std::to_string(call) + " of " + std::to_string(count) + ": " +
                   strerrorname_np(error));
      failed += spawn_with(call, error).empty() ? 0 : 1;
      expect_only_bystander();
    }
  }
  EXPECT_GT(failed, count * 3) << "most of them matter";
}

}  // namespace
}  // namespace bgtask::faults
