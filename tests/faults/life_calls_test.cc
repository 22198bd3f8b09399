// The supervisor dies, or a system call fails, at each call of delete, restart and adopt: the result is a
// task that can be listed, adopted and deleted, or none.
#include <csignal>

#include "tests/faults/life_fixture.h"

namespace bgtask::faults {
namespace {

const std::vector<std::string> kErrors = {"EIO",    "ENOMEM", "EINTR",  "ENOSPC",
                                          "EACCES", "EMFILE", "EAGAIN", "EROFS"};

std::string said(const SystemCall& call, const std::string& how) {
  return call.name + " number " + std::to_string(call.nth) + ": " + how;
}

class LifeOfCalls : public LifeTest {
 protected:
  /// Calls `act` for each call of `calls` with the options that crash (or fail) it, and a description.
  void for_each_crash(const std::vector<SystemCall>& calls, size_t step,
                      const std::function<void(const std::vector<std::string>&)>& act) {
    for (const SystemCall& call : selection(calls, step)) {
      SCOPED_TRACE(said(call, "killed"));
      act(crashing(call));
      expect_only_bystander();
    }
  }
  void for_each_error(const std::vector<SystemCall>& calls, size_t step,
                      const std::function<void(const std::vector<std::string>&)>& act) {
    size_t next = 0;
    for (const SystemCall& call : selection(calls, step)) {
      if (!can_fail(call)) continue;
      for (size_t i = 0; i < scaled<size_t>(1, 2); ++i) {
        const std::string& error = kErrors[next++ % kErrors.size()];
        SCOPED_TRACE(said(call, error));
        act(failing(call, error));
        expect_only_bystander();
      }
    }
  }

  void delete_with(const std::vector<std::string>& fault) {
    Task task = awkward({"sleep"});
    const pid_t child = child_of(task);
    std::string word;
    {
      const Attached tracer(task.pid(), fault);
      word = word_of([&] { Task(task.pid(), pool().path()).remove({.grace = Seconds(0)}); });
    }
    if (word.empty()) {
      EXPECT_TRUE(e2e::gone(child)) << "delete said that nothing is left";
      EXPECT_FALSE(std::filesystem::exists(directory_of(task)));
    }
    remove_whatever_it_is(task.pid());
    EXPECT_TRUE(eventually([&] { return e2e::gone(task.pid()); }))
        << "its supervisor serves a task that nobody can find (" << word << ")";
    pool().gc();
  }

  /// A command that exits at once in its first run and sleeps in later runs.
  Task restartable() {
    std::filesystem::remove(base() / "again");
    Task task = shell("test -e again && exec sleep 1000; exit 3", {.cwd = base().string()});
    EXPECT_EQ(wait_exit(task)["exit_code"], 3);
    e2e::write_whole(base() / "again", "");
    return task;
  }
  void restart_with(const std::vector<std::string>& fault) {
    Task task = restartable();
    std::string word;
    {
      const Attached tracer(task.pid(), fault);
      word = word_of([&] { Task(task.pid(), pool().path()).restart(); });
    }
    if (e2e::gone(task.pid())) {
      const bool runs = Task(task.pid(), pool().path()).snapshot()["status"]["running"] == true;
      EXPECT_TRUE(runs || !word.empty()) << "restart said that the command runs";
    } else {
      Task now(task.pid(), pool().path());
      if (word.empty()) {
        EXPECT_EQ(now.info(true)["status"]["state"], "running");
      } else {
        // A lost reply does not tell whether the request was carried out.
        std::string state;
        EXPECT_TRUE(eventually([&] {
          state = now.info(true)["status"]["state"];
          return state == "exited" || (state == "running" && word == "unresponsive");
        }));
        EXPECT_TRUE(state == "running" || now.restart()) << "what failed once can be asked again";
      }
    }
    remove_whatever_it_is(task.pid());
    pool().gc();
  }

  void adopt_with(const std::vector<std::string>& fault) {
    Task task = awkward({"sleep"});
    const pid_t child = child_of(task);
    ASSERT_NO_FATAL_FAILURE(end_supervisor(task.pid()));
    word_of([&] { traced(fault).adopt(task.pid()); });
    // The old id finds the task in any case.
    std::optional<Task> found = pool().task(task.pid());
    ASSERT_TRUE(found.has_value()) << testing::PrintToString(e2e::names_in(pool().path()));
    EXPECT_EQ(found->snapshot()["child_pid"], child);
    EXPECT_FALSE(e2e::gone(child));
    remove_whatever_it_is(task.pid());
    EXPECT_TRUE(e2e::gone(child));
  }

  std::vector<SystemCall> calls_of_delete() {
    Task task = awkward({"sleep"});
    return calls_made_by(task.pid(), [&] { Task(task).remove({.grace = Seconds(0)}); });
  }
  std::vector<SystemCall> calls_of_restart() {
    Task task = restartable();
    auto calls = calls_made_by(task.pid(), [&] { Task(task).restart(); });
    task.remove({.grace = Seconds(0)});
    return calls;
  }
  std::vector<SystemCall> calls_of_adopt() {
    Task task = awkward({"sleep"});
    end_supervisor(task.pid());
    return calls_made([&](const TaskPool& pool) {
      Task adopted = pool.adopt(task.pid());
      const pid_t child = child_of(adopted);
      end_supervisor(adopted.pid());
      e2e::send_signal(child, SIGKILL);
      EXPECT_TRUE(eventually([&] { return e2e::gone(child); }));
      pool.gc();
    });
  }
};

TEST_F(LifeOfCalls, G6_ADeleteWhoseSupervisorDiesLeavesATaskOrNothing) {
  for_each_crash(calls_of_delete(), 3, [&](const auto& fault) { delete_with(fault); });
}

TEST_F(LifeOfCalls, G6_G8_ADeleteThatFailsLeavesATaskOrNothing) {
  for_each_error(calls_of_delete(), 2, [&](const auto& fault) { delete_with(fault); });
}

TEST_F(LifeOfCalls, G1_G7_ARestartWhoseSupervisorDiesLeavesAWholeTask) {
  for_each_crash(calls_of_restart(), 2, [&](const auto& fault) { restart_with(fault); });
}

TEST_F(LifeOfCalls, G1_G8_ARestartThatFailsLeavesAWholeTask) {
  for_each_error(calls_of_restart(), 2, [&](const auto& fault) { restart_with(fault); });
}

TEST_F(LifeOfCalls, G7_AnAdopterThatDiesLeavesAWholeTask) {
  for_each_crash(calls_of_adopt(), 4, [&](const auto& fault) { adopt_with(fault); });
}

TEST_F(LifeOfCalls, G7_G8_AnAdopterThatFailsLeavesAWholeTask) {
  for_each_error(calls_of_adopt(), 4, [&](const auto& fault) { adopt_with(fault); });
}

}  // namespace
}  // namespace bgtask::faults
