// A task's former pid belongs to another process now: no signal reaches the new owner.
#include <csignal>
#include <fstream>

#include "tests/faults/life_fixture.h"

namespace bgtask::faults {
namespace {

class LifeAndPids : public LifeTest {
 protected:
  void SetUp() override {
    LifeTest::SetUp();
    fifo_ = make_fifo("commands");
  }
  /// A child that takes its commands from a FIFO, which survives the supervisor.
  Task start() { return awkward({"puppet", fifo_.string()}); }
  void command(const std::string& line) { std::ofstream(fifo_) << line << "\n" << std::flush; }

  /// Spawns a task whose supervisor has this pid. The intermediate process, already gone, has the pid before
  /// it.
  Task start_as(pid_t supervisor) {
    for (int attempt = 0; attempt < 20; ++attempt) {
      choose_next_pid(supervisor - 1);
      Task task = start();
      if (task.pid() == supervisor) return task;
      task.remove({.grace = Seconds(0)});
    }
    ADD_FAILURE() << "pid " << supervisor << " cannot be had";
    return start();
  }

 private:
  std::filesystem::path fifo_;
};

TEST_F(LifeAndPids, G5_AnEndedTaskSignalsNobody) {
  Task task = start();
  const pid_t child = child_of(task);
  command("exit 3");
  EXPECT_EQ(wait_exit(task)["exit_code"], 3);
  const Victim victim(child);
  for (const Scope scope : {Scope::kProcess, Scope::kGroup, Scope::kTree})
    EXPECT_EQ(word_of([&] { task.kill("TERM", scope); }), "already_exited");
  EXPECT_EQ(word_of([&] { task.pause(); }), "already_exited");
  EXPECT_EQ(word_of([&] { task.resume(); }), "already_exited");
  EXPECT_EQ(task.info(true)["status"]["exit_code"], 3);
  EXPECT_FALSE(pool().task(child).has_value()) << "its child's former pid does not name the task any more";
  EXPECT_TRUE(task.restart());
  EXPECT_NE(child_of(task), child);
  EXPECT_EQ(task.kill("TERM", Scope::kTree), 1u);
  EXPECT_EQ(wait_exit(task)["signal"], "TERM");
  EXPECT_EQ(task.remove({.grace = Seconds(0)}).signalled, 0u);
  victim.expect_untouched();
  expect_only_bystander({victim.pid()});
}

TEST_F(LifeAndPids, G5_G7_ALostTasksChildIsNotMistaken) {
  Task task = start();
  const pid_t child = child_of(task);
  ASSERT_NO_FATAL_FAILURE(end_supervisor(task.pid()));
  command("exit 0");
  ASSERT_TRUE(eventually([&] { return e2e::gone(child); }));
  const Victim victim(child);
  Task lost(task.pid(), pool().path());
  EXPECT_EQ(lost.snapshot()["status"]["state"], "lost");
  EXPECT_EQ(lost.snapshot()["status"]["running"], false);
  EXPECT_EQ(word_of([&] { lost.kill("KILL", Scope::kTree); }), "lost");
  Task adopted = pool().adopt(task.pid());
  EXPECT_EQ(adopted.info(true)["status"]["state"], "exited");
  EXPECT_EQ(adopted.info(true)["descendants"], 0);
  for (const Scope scope : {Scope::kProcess, Scope::kGroup, Scope::kTree})
    EXPECT_EQ(word_of([&] { adopted.kill("KILL", scope); }), "already_exited");
  EXPECT_EQ(adopted.remove({.grace = Seconds(0)}).signalled, 0u);
  victim.expect_untouched();
  expect_only_bystander({victim.pid()});
}

TEST_F(LifeAndPids, G5_G7_GcRemovesALostTaskAndNotThePidsNewOwner) {
  Task task = start();
  const pid_t child = child_of(task);
  ASSERT_NO_FATAL_FAILURE(end_supervisor(task.pid()));
  command("exit 0");
  ASSERT_TRUE(eventually([&] { return e2e::gone(child); }));
  const Victim victim(child);
  EXPECT_EQ(pool().gc(), std::vector<pid_t>{task.pid()});
  victim.expect_untouched();
  expect_only_bystander({victim.pid()});
}

// A request sent before the child's end is handled after it, when the pid belongs to another process.
TEST_F(LifeAndPids, G5_ARequestThatComesLateToAnAdoptedTaskSignalsNobody) {
  const std::vector<std::pair<std::string, Json>> requests = {
      {"kill", {{"signal", "KILL"}, {"scope", "process"}}},
      {"kill", {{"signal", "KILL"}, {"scope", "group"}}},
      {"kill", {{"signal", "KILL"}, {"scope", "tree"}}},
      {"pause", Json::object()},
      {"delete", {{"grace", 0}}},
  };
  for (const auto& [method, params] : requests) {
    SCOPED_TRACE(method + params.dump());
    Task task = start();
    ASSERT_NO_FATAL_FAILURE(end_supervisor(task.pid()));
    Task adopted = pool().adopt(task.pid());
    const pid_t child = child_of(adopted);
    e2e::RawClient client(socket_of(adopted));
    ASSERT_EQ(client.result("ping"), "pong");
    ASSERT_TRUE(e2e::send_signal(adopted.pid(), SIGSTOP));
    client.request(method, params);
    command("exit 0");
    ASSERT_TRUE(eventually([&] { return e2e::process_state(child) == 0; }));
    {
      const Victim victim(child);
      ASSERT_TRUE(e2e::send_signal(adopted.pid(), SIGCONT));
      const auto reply = client.receive();
      ASSERT_TRUE(reply.has_value());
      if (method == "delete")
        EXPECT_EQ((*reply)["result"]["signalled"], 0) << *reply;
      else
        EXPECT_EQ(e2e::error_word(*reply), "already_exited") << *reply;
      victim.expect_untouched();
    }
    remove_whatever_it_is(adopted.pid());
    expect_only_bystander();
  }
}

TEST_F(LifeAndPids, G5_G7_ADeadSupervisorsPidIsAnInnocentProcess) {
  Task task = start();
  const pid_t child = child_of(task);
  const pid_t former = task.pid();
  ASSERT_NO_FATAL_FAILURE(end_supervisor(former));
  ASSERT_TRUE(eventually([&] { return e2e::process_state(former) == 0; }));
  const Victim victim(former);
  Task lost(former, pool().path());
  EXPECT_EQ(lost.snapshot()["status"]["state"], "lost");
  EXPECT_EQ(lost.snapshot()["status"]["running"], true);
  const e2e::ProgramResult listed = bgtask({"ls", "-o", "json"});
  EXPECT_EQ(listed.status, 0) << listed.err;
  EXPECT_NE(listed.out.find("\"lost\""), std::string::npos) << listed.out;
  EXPECT_EQ(word_of([&] { lost.kill("KILL", Scope::kTree); }), "lost");
  EXPECT_EQ(word_of([&] { lost.remove({.grace = Seconds(0)}); }), "running");
  EXPECT_TRUE(pool().gc().empty());
  Task adopted = pool().adopt(former);
  EXPECT_EQ(adopted.info(true)["child_pid"], child);
  EXPECT_EQ(adopted.remove({.grace = Seconds(0)}).signalled, 1u);
  EXPECT_TRUE(e2e::gone(child));
  victim.expect_untouched();
  expect_only_bystander({victim.pid()});
}

TEST_F(LifeAndPids, G5_G7_ADeadSupervisorsPidIsAnotherSupervisors) {
  constexpr pid_t kPid = 20'001;
  Task first = start_as(kPid);
  const pid_t child = child_of(first);
  ASSERT_NO_FATAL_FAILURE(end_supervisor(kPid));
  ASSERT_TRUE(eventually([&] { return e2e::process_state(kPid) == 0; }));
  Task second = start_as(kPid);
  const pid_t other_child = child_of(second);
  ASSERT_NE(other_child, child);

  const std::vector<Task> lost = pool().search({{"status", {{"state", "lost"}}}});
  ASSERT_EQ(lost.size(), 1u) << "both are listed";
  const pid_t aside = lost[0].pid();
  EXPECT_NE(aside, kPid);
  EXPECT_EQ(Task(aside, pool().path()).snapshot()["child_pid"], child);
  EXPECT_EQ(Task(kPid, pool().path()).info(true)["child_pid"], other_child);
  EXPECT_TRUE(pool().gc().empty()) << "both children live";

  Task adopted = pool().adopt(aside);
  EXPECT_EQ(adopted.info(true)["child_pid"], child);
  EXPECT_EQ(adopted.info(true)["descendants"], 0) << "the other task's child is none of its";
  EXPECT_EQ(adopted.kill("TERM", Scope::kTree), 1u);
  EXPECT_TRUE(eventually([&] { return e2e::gone(child); }));
  EXPECT_FALSE(e2e::gone(other_child));
  adopted.remove({.grace = Seconds(0)});
  EXPECT_FALSE(e2e::gone(other_child));
  EXPECT_EQ(second.info(true)["status"]["state"], "running");
  second.remove({.grace = Seconds(0)});
  expect_only_bystander();
}

// Both supervisors are dead and had the same pid: the environments of their processes name the same task.
TEST_F(LifeAndPids, G5_TwoLostTasksOfTheSamePidAreToldApart) {
  constexpr pid_t kPid = 20'001;
  Task first = start_as(kPid);
  const pid_t child = child_of(first);
  ASSERT_NO_FATAL_FAILURE(end_supervisor(kPid));
  ASSERT_TRUE(eventually([&] { return e2e::process_state(kPid) == 0; }));
  Task second = start_as(kPid);
  const pid_t other_child = child_of(second);
  const pid_t aside = pool().search({{"status", {{"state", "lost"}}}}).at(0).pid();
  ASSERT_NO_FATAL_FAILURE(end_supervisor(kPid));

  Task adopted = pool().adopt(aside);
  EXPECT_EQ(adopted.info(true)["child_pid"], child);
  EXPECT_EQ(adopted.info(true)["descendants"], 0) << "the other task's child is none of its";
  EXPECT_EQ(adopted.kill("TERM", Scope::kTree), 1u);
  EXPECT_TRUE(eventually([&] { return e2e::gone(child); }));
  adopted.remove({.grace = Seconds(0)});
  EXPECT_FALSE(e2e::gone(other_child));

  Task other = pool().adopt(kPid);
  EXPECT_EQ(other.info(true)["child_pid"], other_child);
  other.remove({.grace = Seconds(0)});
  expect_only_bystander();
}

TEST_F(LifeAndPids, G5_G7_AfterARestartOfTheMachineNoPidIsBelieved) {
  for (const bool adopts : {true, false}) {
    Task task = start();
    const pid_t child = child_of(task);
    ASSERT_NO_FATAL_FAILURE(end_supervisor(task.pid()));
    command("exit 0");
    ASSERT_TRUE(eventually([&] { return e2e::gone(child); }));
    // As on a file system that survives a reboot: the same pid and the same start time.
    const Victim victim(child);
    const std::filesystem::path status = directory_of(task) / "status";
    Json document = Json::parse(e2e::read_whole(status));
    ASSERT_EQ(document["child_pid"], child);
    ASSERT_TRUE(document["supervision"]["boot_id"].is_string());
    document["supervision"]["child_start"] = start_tick_of(victim.pid());
    e2e::write_whole(status, document.dump() + "\n");
    EXPECT_EQ(Task(task.pid(), pool().path()).snapshot()["status"]["running"], true)
        << "but for the machine's start it would be believed";
    document["supervision"]["boot_id"] = "00000000-0000-4000-8000-000000000000";
    e2e::write_whole(status, document.dump() + "\n");

    Task lost(task.pid(), pool().path());
    EXPECT_EQ(lost.snapshot()["status"]["state"], "lost");
    EXPECT_EQ(lost.snapshot()["status"]["running"], false);
    if (adopts) {
      Task adopted = pool().adopt(task.pid());
      EXPECT_EQ(adopted.info(true)["status"]["state"], "exited");
      EXPECT_EQ(adopted.info(true)["status"]["reason"], "unknown");
      EXPECT_EQ(word_of([&] { adopted.kill("KILL"); }), "already_exited");
      EXPECT_EQ(adopted.remove({.grace = Seconds(0)}).signalled, 0u);
    } else {
      EXPECT_EQ(pool().gc(), std::vector<pid_t>{task.pid()});
    }
    victim.expect_untouched();
    expect_only_bystander({victim.pid()});
  }
}

}  // namespace
}  // namespace bgtask::faults
