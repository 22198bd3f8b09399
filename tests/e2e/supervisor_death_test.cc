// What becomes of a task whose supervisor is killed.
#include <signal.h>

#include <fstream>

#include "tests/e2e/fixture.h"
#include "tests/e2e/pattern.h"

namespace bgtask::e2e {
namespace {

class SupervisorDeathTest : public E2eTest {
 protected:
  void SetUp() override {
    E2eTest::SetUp();
    fifo_ = make_fifo("commands");
  }
  /// A child that takes its commands from a FIFO, which no supervisor's death touches.
  Task start(SpawnOptions options = {}) { return awkward({"puppet", fifo_.string()}, std::move(options)); }
  void command(const std::string& line) { std::ofstream(fifo_) << line << "\n" << std::flush; }

 private:
  std::filesystem::path fifo_;
};

TEST_F(SupervisorDeathTest, TheChildGoesOnAndEndsNormally) {
  Task task = start();
  command("out before");
  ASSERT_TRUE(wait_limit(task, "stdout", 7));
  const pid_t child = child_of(task);
  kill_supervisor(task);
  EXPECT_FALSE(gone(child));

  Task observer(task.pid(), pool().path());
  const Json lost = observer.info(true);
  EXPECT_EQ(lost["status"]["state"], "lost");
  EXPECT_EQ(lost["status"]["running"], true);
  EXPECT_EQ(lost["child_pid"], child);
  EXPECT_EQ(pool().search({{"status", {{"state", "lost"}}}}).size(), 1u);
  const ProgramResult listed = bgtask({"ls"});
  EXPECT_EQ(listed.status, 0);
  EXPECT_NE(listed.out.find("lost"), std::string::npos) << listed.out;

  command("out meanwhile");  // SIGPIPE would kill it here
  command("err too");
  const std::filesystem::path witness = base() / "witness";
  command("file " + witness.string());
  EXPECT_TRUE(eventually([&] { return std::filesystem::exists(witness); }));
  command("exit 0");
  EXPECT_TRUE(eventually([&] { return gone(child); }));
  EXPECT_EQ(observer.info(true)["status"]["state"], "lost");
  EXPECT_EQ(observer.info(true)["status"]["running"], false);
}

TEST_F(SupervisorDeathTest, RetainedOutputIsReadableByEveryone) {
  Task task = start({.buffer = 2u << 20});
  command("pattern 0 1000000");
  command("err error");
  command("data message");
  ASSERT_TRUE(wait_limit(task, "data", 1));
  task.call("ping");  // what has been taken in is in the index as well
  kill_supervisor(task);
  Task observer(task.pid(), pool().path());
  const std::string bytes = pattern(0, 1'000'000);
  EXPECT_TRUE(observer.stream("stdout").peek().data == bytes);
  EXPECT_TRUE(observer.stream("stdout").peek(12, 35).data == bytes.substr(12, 23));
  EXPECT_TRUE(observer.stream("stdout").read().data == bytes);
  EXPECT_EQ(observer.stream("stderr").peek().data, "error\n");
  const MessagesResult messages = observer.stream("data").peek_messages();
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_EQ(messages.messages[0].data, "message");
  std::string followed;
  observer.follow([&](const Output& output) {
    for (const OutputChunk& chunk : output.chunks)
      followed += chunk.data;
    return true;
  });
  EXPECT_EQ(followed.size(), 1'000'000u + 6 + 7) << "following ends, for there is nobody to wait for";
  const std::string pid = std::to_string(task.pid());
  EXPECT_TRUE(bgtask({"logs", "--raw", "--stream", "stdout", pid}).out == bytes);
  const ProgramResult followed_by_cli = bgtask({"logs", "-f", "--raw", "--stream", "err", pid});
  EXPECT_EQ(followed_by_cli.status, 0);
  EXPECT_EQ(followed_by_cli.out, "error\n");
  EXPECT_EQ(error_of([&] { observer.kill("TERM"); }).code(), "lost");
  EXPECT_EQ(error_of([&] { observer.stream("stdin").write("x"); }).code(), "lost");
}

TEST_F(SupervisorDeathTest, AdoptTakesOverAndNothingWrittenMeanwhileIsMissing) {
  Task task = start({.env = {{"KEPT", "yes"}}, .meta = {{"name", "orphan"}}});
  command("out before");
  command("err error before");
  ASSERT_TRUE(wait_limit(task, "stderr", 13));
  const pid_t child = child_of(task);
  const pid_t former = task.pid();
  kill_supervisor(task);
  command("out meanwhile");
  command("err error meanwhile");
  command("data message meanwhile");
  const std::filesystem::path witness = base() / "witness";
  command("file " + witness.string());
  ASSERT_TRUE(eventually([&] { return std::filesystem::exists(witness); }));

  Task adopted = pool().adopt(former);
  EXPECT_NE(adopted.pid(), former);
  EXPECT_EQ(names_in(pool().path()), std::vector<std::string>{std::to_string(adopted.pid())});
  const Json info = adopted.info(true);
  EXPECT_EQ(info["pid"], adopted.pid());
  EXPECT_EQ(info["child_pid"], child);
  EXPECT_EQ(info["status"]["state"], "running");
  EXPECT_EQ(info["meta"]["name"], "orphan");
  EXPECT_EQ(info["former_pids"], Json::array({former}));
  EXPECT_EQ(Task(former, pool().path()).info(true)["pid"], adopted.pid()) << "the former id finds it";
  ASSERT_TRUE(pool().task(former).has_value());

  command("out after");
  ASSERT_TRUE(wait_limit(adopted, "stdout", 7 + 10 + 6));
  ASSERT_TRUE(wait_limit(adopted, "stderr", 13 + 16));
  EXPECT_EQ(adopted.stream("stdout").read().data, "before\nmeanwhile\nafter\n");
  EXPECT_EQ(adopted.stream("stderr").read().data, "error before\nerror meanwhile\n");
  ASSERT_TRUE(wait_limit(adopted, "data", 1));
  EXPECT_EQ(adopted.stream("data").messages().messages.at(0).data, "message meanwhile");

  adopted.pause();
  EXPECT_TRUE(eventually([&] { return process_state(child) == 'T'; }));
  adopted.resume();
  command("exit 5");
  const Json status = wait_exit(adopted);
  EXPECT_TRUE(gone(child));
  EXPECT_EQ(status["state"], "exited");
  if (status["exit_code"].is_null()) {
    EXPECT_EQ(status["reason"], "unknown");
  } else {
    EXPECT_EQ(status["exit_code"], 5);
  }
  EXPECT_TRUE(adopted.restart()) << "an adopted task is a task like any other";
  EXPECT_NE(child_of(adopted), child);
}

// The bytes that a task writes after its supervisor's death go with its pipe when it ends before an adoption.
class SupervisorDeathGapTest : public SupervisorDeathTest {
 protected:
  void end_without_supervisor(Task& task) {
    const pid_t child = child_of(task);
    kill_supervisor(task);
    command("out of which nobody knows");
    command("exit 0");
    ASSERT_TRUE(eventually([&] { return gone(child); }));
  }
  static Json gaps(const Json& info) {
    Json gaps = Json::object();
    for (const char* stream : {"stdout", "stderr", "data"})
      gaps[stream] = info["streams"][stream]["gap"];
    return gaps;
  }
  static Json all(bool gap) { return {{"stdout", gap}, {"stderr", gap}, {"data", gap}}; }
};

TEST_F(SupervisorDeathGapTest, IsToldOfATaskThatEndedBeforeItsAdoption) {
  Task task = start();
  command("out before");
  ASSERT_TRUE(wait_limit(task, "stdout", 7));
  EXPECT_EQ(gaps(task.info(true)), all(false));
  end_without_supervisor(task);
  EXPECT_EQ(gaps(task.snapshot()), all(true)) << "derived by readers of the files";
  Task adopted = pool().adopt(task.pid());
  EXPECT_EQ(gaps(adopted.info(true)), all(true));
  EXPECT_EQ(gaps(adopted.snapshot()), all(true));
  RawClient client(socket_of(adopted));
  EXPECT_EQ(client.result("stream_info", {{"stream", "stdout"}})["gap"], true);
  const Json read = client.result("read", {{"stream", "stdout"}});
  EXPECT_EQ(read["data"], "before\n");
  EXPECT_EQ(read["lost"], 0);
  EXPECT_EQ(read["gap"], true);
  EXPECT_EQ(read["eof"], true);
  EXPECT_EQ(client.result("output")["gap"], all(true));
}

TEST_F(SupervisorDeathGapTest, StaysAfterARestart) {
  Task task = start();
  end_without_supervisor(task);
  Task adopted = pool().adopt(task.pid());
  ASSERT_TRUE(adopted.restart());
  const Json info = adopted.info(true);
  EXPECT_EQ(gaps(info), all(true));
  EXPECT_EQ(info["streams"]["stdout"]["eof"], false);
  kill_supervisor(adopted);
  EXPECT_EQ(gaps(adopted.snapshot()), all(true));
}

TEST_F(SupervisorDeathGapTest, IsNoneWhereTheChildLives) {
  Task task = start();
  kill_supervisor(task);
  command("out meanwhile");
  EXPECT_EQ(gaps(task.snapshot()), all(false));
  Task adopted = pool().adopt(task.pid());
  ASSERT_TRUE(wait_limit(adopted, "stdout", 10));
  command("exit 0");
  wait_exit(adopted);
  wait_eof(adopted);
  EXPECT_EQ(gaps(adopted.info(true)), all(false));
}

TEST_F(SupervisorDeathGapTest, IsNoneWhereTheStreamsHadEnded) {
  Task task = start();
  command("exit 0");
  wait_exit(task);
  wait_eof(task);
  kill_supervisor(task);
  EXPECT_EQ(gaps(task.snapshot()), all(false));
  Task adopted = pool().adopt(task.pid());
  EXPECT_EQ(gaps(adopted.info(true)), all(false));
}

TEST_F(SupervisorDeathGapTest, IsToldOfRingsInMemoryThatWentWithTheSupervisor) {
  Task task = start({.rings = Rings::kMemory});
  command("out lost");
  ASSERT_TRUE(wait_limit(task, "stdout", 5));
  kill_supervisor(task);
  Task adopted = pool().adopt(task.pid());
  EXPECT_EQ(gaps(adopted.info(true))["stdout"], true);
}

TEST_F(SupervisorDeathTest, AdoptingTwiceKeepsAllFormerIds) {
  Task task = start();
  command("out one");
  ASSERT_TRUE(wait_limit(task, "stdout", 4));
  kill_supervisor(task);
  Task second = pool().adopt(task.pid());
  kill_supervisor(second);
  const ProgramResult adopted = bgtask({"adopt", std::to_string(second.pid())});
  ASSERT_EQ(adopted.status, 0) << adopted.err;
  Task third(std::stoi(adopted.out), pool().path());
  EXPECT_EQ(adopted.out, std::to_string(third.pid()) + "\n");
  EXPECT_EQ(third.info(true)["former_pids"], Json::array({task.pid(), second.pid()}));
  for (pid_t former : {task.pid(), second.pid()}) {
    EXPECT_EQ(Task(former, pool().path()).info(true)["pid"], third.pid());
  }
  command("out two");
  ASSERT_TRUE(wait_limit(third, "stdout", 8));
  EXPECT_EQ(third.stream("stdout").read().data, "one\ntwo\n");
}

TEST_F(SupervisorDeathTest, OnlyADeadSupervisorsTaskIsAdopted) {
  Task task = start();
  EXPECT_EQ(error_of([&] { pool().adopt(task.pid()); }).code(), "running");
  EXPECT_EQ(error_of([&] { pool().adopt(4'194'303); }).code(), "not_found");
  ASSERT_TRUE(send_signal(task.pid(), SIGSTOP));
  EXPECT_EQ(error_of([&] { pool().adopt(task.pid()); }).code(), "running") << "stopped is not dead";
  send_signal(task.pid(), SIGCONT);
  EXPECT_EQ(task.info(true)["status"]["state"], "running");
}

TEST_F(SupervisorDeathTest, ABlockedWriterIsFreedByAdoption) {
  Task task = start({.buffer = 4u << 20});
  command("out x");
  ASSERT_TRUE(wait_limit(task, "stdout", 2));
  kill_supervisor(task);
  command("pattern 0 3000000");  // far more than a pipe holds
  Task adopted = pool().adopt(task.pid());
  ASSERT_TRUE(wait_limit(adopted, "stdout", 3'000'002));
  EXPECT_TRUE(adopted.stream("stdout").read().data == "x\n" + pattern(0, 3'000'000));
}

TEST_F(SupervisorDeathTest, PolicyKillLeavesNoProcess) {
  Task task = awkward({"family"}, {.on_supervisor_death = OnSupervisorDeath::kKill});
  const auto family = family_of(task, 4);
  kill_supervisor(task);
  for (const auto& member : family) {
    EXPECT_TRUE(eventually([&] { return gone(member.second); })) << member.first;
  }
  EXPECT_TRUE(eventually([this] { return own_processes().empty(); }));
  EXPECT_EQ(task.snapshot()["status"]["state"], "lost");
  EXPECT_EQ(task.snapshot()["status"]["running"], false);
  EXPECT_EQ(pool().gc(), std::vector<pid_t>{task.pid()});
}

TEST_F(SupervisorDeathTest, PolicyKillHoldsForStubbornOnesToo) {
  Task task = awkward({"family", "stubborn"}, {.on_supervisor_death = OnSupervisorDeath::kKill});
  family_of(task, 4);
  kill_supervisor(task);
  EXPECT_TRUE(eventually([this] { return own_processes().empty(); }));
}

TEST_F(SupervisorDeathTest, GcRemovesTheDeadWhoseChildIsGoneAndNothingElse) {
  Task living = awkward({"sleep"});
  Task ended = awkward({"exit", "0"});
  wait_exit(ended);
  Task orphan = start();
  kill_supervisor(orphan);
  Task dead = awkward({"exit", "1"});
  wait_exit(dead);
  kill_supervisor(dead);
  EXPECT_EQ(pool().gc(), std::vector<pid_t>{dead.pid()});
  EXPECT_TRUE(pool().gc().empty());
  EXPECT_EQ(names_in(pool().path()).size(), 3u);
  const pid_t child = orphan.snapshot()["child_pid"];
  command("exit 0");
  ASSERT_TRUE(eventually([&] { return gone(child); }));
  EXPECT_EQ(bgtask({"gc"}).status, 0);
  EXPECT_EQ(names_in(pool().path()).size(), 2u);
  EXPECT_EQ(living.info(true)["status"]["state"], "running");
  EXPECT_EQ(ended.info(true)["status"]["state"], "exited");
}

TEST_F(SupervisorDeathTest, RemovingALostTaskNeedsItsChildToBeGone) {
  Task task = start();
  const pid_t child = child_of(task);
  kill_supervisor(task);
  Task observer(task.pid(), pool().path());
  EXPECT_EQ(error_of([&] { observer.remove(); }).code(), "running");
  EXPECT_FALSE(gone(child));
  command("exit 0");
  ASSERT_TRUE(eventually([&] { return gone(child); }));
  observer.remove();
  EXPECT_EQ(names_in(pool().path()), std::vector<std::string>());
}

TEST_F(SupervisorDeathTest, AnExitedTaskKeepsItsStatusAndOutput) {
  Task task = shell("printf result; exit 9");
  wait_exit(task);
  kill_supervisor(task);
  const Json info = Task(task.pid(), pool().path()).info(true);
  EXPECT_EQ(info["status"]["state"], "lost");
  EXPECT_EQ(info["status"]["running"], false);
  EXPECT_EQ(info["status"]["exit_code"], 9);
  EXPECT_EQ(Task(task.pid(), pool().path()).stream("stdout").peek().data, "result");
}

TEST_F(SupervisorDeathTest, MemoryRingsGoWithTheSupervisorAndSaySo) {
  Task task = start({.rings = Rings::kMemory});
  command("out something");
  ASSERT_TRUE(wait_limit(task, "stdout", 10));
  EXPECT_EQ(task.info(true)["persistent"], false);
  for (const char* ring : {"stdout", "stderr", "data", "index"}) {
    EXPECT_FALSE(std::filesystem::exists(directory_of(task) / ring)) << ring;
  }
  kill_supervisor(task);
  const auto found = pool().search({{"status", {{"state", "lost"}}}});
  ASSERT_EQ(found.size(), 1u);
  Task observer = found[0];
  EXPECT_EQ(observer.info()["persistent"], false);
  EXPECT_EQ(error_of([&] { observer.stream("stdout").peek(); }).code(), "lost");
}

TEST_F(SupervisorDeathTest, WaitersAreTold) {
  Task task = start();
  RawClient waiter(socket_of(task));
  waiter.request("wait", {{"for", {"exit"}}});
  Task other(task.pid(), pool().path());
  other.connect();
  const pid_t supervisor = task.pid();
  const ProgramResult result = in_child([&] {
    // The command line waits; its supervisor is killed as soon as it is seen to have one client more.
    const pid_t killer = fork();
    if (killer == 0) {
      eventually([&] { return other.info(true)["clients"] >= 3; });
      send_signal(supervisor, SIGKILL);
      _exit(0);
    }
    return std::to_string(run_program({BGTASK_PROGRAM, "wait", std::to_string(supervisor)}).status);
  });
  EXPECT_EQ(result.out, "125") << result.err;
  EXPECT_FALSE(waiter.receive().has_value());
}

}  // namespace
}  // namespace bgtask::e2e
