// A restart whose exec the kernel holds up: everybody else is answered, and it can be given up. The program's
// file has a write lease (fcntl(2), F_SETLEASE), which an exec has to wait for until the holder lets go of
// it.
#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstring>
#include <optional>
#include <utility>

#include "tests/e2e/fixture.h"

namespace bgtask::e2e {
namespace {

using Clock = std::chrono::steady_clock;

class StuckExecTest : public E2eTest {
 protected:
  void SetUp() override {
    E2eTest::SetUp();
    signal(SIGIO, SIG_IGN);  // tells the holder of a lease that somebody waits
    program_ = public_copy("/bin/sleep");
    task_.emplace(spawn({.exec = {program_.string(), "0.01"}}));
    wait_exit(*task_);
    wait_eof(*task_);
    before_ = as_it_stays();
  }
  void TearDown() override {
    let_go();
    task_.reset();
    E2eTest::TearDown();
    signal(SIGIO, SIG_DFL);
  }

  Task& task() { return *task_; }
  void hold() {
    lease_ = open(program_.c_str(), O_RDONLY | O_CLOEXEC);
    ASSERT_GE(lease_, 0);
    ASSERT_EQ(fcntl(lease_, F_SETLEASE, F_WRLCK), 0) << strerror(errno);
  }
  void let_go() {
    if (lease_ >= 0) close(std::exchange(lease_, -1));
  }
  /// Asks for a restart, and returns once it is under way.
  pid_t begin_restart(RawClient& client) {
    client.request("restart");
    EXPECT_TRUE(eventually([&] { return task().info(true)["status"]["state"] == "running"; }));
    return child_of(task());
  }
  /// What a failed restart leaves as it was.
  Json as_it_stays() {
    const Json info = task().info(true);
    Json part;
    for (const char* key : {"status", "runs", "started_at", "ended_at", "child_pid", "descendants"})
      part[key] = info[key];
    return part;
  }
  void expect_as_before() {
    EXPECT_TRUE(eventually([&] { return as_it_stays() == before_; })) << as_it_stays();
    EXPECT_EQ(task().snapshot()["status"], before_["status"]);
  }
  const Json& before() const { return before_; }

 private:
  std::filesystem::path program_;
  std::optional<Task> task_;
  Json before_;
  int lease_ = -1;
};

TEST_F(StuckExecTest, OthersAreAnsweredMeanwhile) {
  hold();
  RawClient first(socket_of(task()));
  const pid_t held = begin_restart(first);
  RawClient other(socket_of(task()));
  const auto begin = Clock::now();
  EXPECT_EQ(other.result("ping"), "pong");
  EXPECT_EQ(other.result("info")["child_pid"], held);
  EXPECT_EQ(other.result("info")["runs"], 2);
  EXPECT_EQ(other.result("read", {{"stream", "stdout"}})["data"], "");
  EXPECT_EQ(other.result("output")["chunks"], Json::array());
  EXPECT_EQ(other.result("apply_meta", {{"meta", {{"note", "still here"}}}})["note"], "still here");
  EXPECT_EQ(error_word(other.call("pause")), "busy");
  EXPECT_LT(Clock::now() - begin, Milliseconds(2'000));
  other.request("restart");
  EXPECT_EQ(other.result("ping"), "pong") << "the second restart is not answered before the first";
  let_go();
  const Json restarted = {{"restarted", true}, {"child_pid", held}};
  EXPECT_EQ(first.receive().value_or(nullptr)["result"], restarted);
  EXPECT_EQ(wait_exit(task())["exit_code"], 0);
}

TEST_F(StuckExecTest, BothWhoAskedHaveTheSameAnswer) {
  hold();
  RawClient first(socket_of(task())), second(socket_of(task()));
  const pid_t held = begin_restart(first);
  second.request("restart");
  let_go();
  for (RawClient* client : {&first, &second}) {
    const Json reply = client->receive().value_or(nullptr);
    EXPECT_EQ(reply["result"], (Json{{"restarted", true}, {"child_pid", held}})) << reply;
  }
  EXPECT_EQ(task().info(true)["runs"], 2);
}

TEST_F(StuckExecTest, DeleteGivesItUp) {
  hold();
  RawClient client(socket_of(task()));
  const pid_t held = begin_restart(client);
  const pid_t supervisor = task().pid();
  const auto begin = Clock::now();
  task().remove({.grace = Seconds(30)});
  EXPECT_LT(Clock::now() - begin, Milliseconds(5'000));
  EXPECT_EQ(error_word(client.receive().value_or(nullptr)), "busy");
  EXPECT_TRUE(gone(held));
  EXPECT_TRUE(eventually([&] { return gone(supervisor); }));
  EXPECT_EQ(names_in(pool().path()), std::vector<std::string>());
}

TEST_F(StuckExecTest, TermToTheSupervisorGivesItUp) {
  hold();
  RawClient client(socket_of(task()));
  const pid_t held = begin_restart(client);
  ASSERT_TRUE(send_signal(task().pid(), SIGTERM));
  EXPECT_TRUE(eventually([&] { return gone(task().pid()) && gone(held); }));
  EXPECT_EQ(names_in(pool().path()), std::vector<std::string>());
}

TEST_F(StuckExecTest, KillGivesItUpAndTheTaskIsAsBefore) {
  for (const char* scope : {"process", "group", "tree"}) {
    SCOPED_TRACE(scope);
    hold();
    RawClient client(socket_of(task()));
    const pid_t held = begin_restart(client);
    RawClient other(socket_of(task()));
    EXPECT_EQ(other.result("kill", {{"signal", "KILL"}, {"scope", scope}})["signalled"], 1);
    EXPECT_EQ(error_word(client.receive().value_or(nullptr)), "exec_failed");
    EXPECT_TRUE(gone(held));
    expect_as_before();
    let_go();
  }
  EXPECT_TRUE(task().restart());
  EXPECT_EQ(wait_exit(task())["exit_code"], 0);
}

TEST_F(StuckExecTest, AWaitForTheEndIsAnsweredWhenTheStartFails) {
  hold();
  RawClient client(socket_of(task())), waiting(socket_of(task()));
  const pid_t held = begin_restart(client);
  waiting.request("wait", {{"for", {"exit"}}});
  EXPECT_EQ(waiting.result("ping"), "pong");
  ASSERT_TRUE(send_signal(held, SIGKILL));
  EXPECT_EQ(waiting.receive().value_or(nullptr)["result"]["status"], before()["status"]);
}

TEST_F(StuckExecTest, TheClientThatAskedMayLeave) {
  hold();
  {
    RawClient client(socket_of(task()));
    begin_restart(client);
  }
  EXPECT_TRUE(eventually([&] { return task().info(true)["clients"] == 1; }));
  let_go();
  EXPECT_EQ(wait_exit(task())["exit_code"], 0);
  EXPECT_EQ(task().info(true)["runs"], 2);
}

TEST_F(StuckExecTest, AnAdopterFindsTheCommandThatWasStarted) {
  hold();
  RawClient client(socket_of(task()));
  const pid_t held = begin_restart(client);
  kill_supervisor(task());
  Task adopted = pool().adopt(task().pid());
  EXPECT_EQ(adopted.info(true)["status"]["state"], "running");
  EXPECT_EQ(child_of(adopted), held);
  EXPECT_EQ(adopted.info(true)["streams"]["stdout"]["eof"], false) << "its pipe is found";
  let_go();
  wait_exit(adopted);
  wait_eof(adopted);
  EXPECT_TRUE(gone(held));
  EXPECT_EQ(adopted.info(true)["runs"], 2);
}

TEST_F(StuckExecTest, IsGivenUpByItselfInTheEnd) {
  hold();
  RawClient client(socket_of(task()));
  begin_restart(client);
  EXPECT_EQ(error_word(client.receive(Milliseconds(40'000)).value_or(nullptr)), "unresponsive");
  expect_as_before();
}

}  // namespace
}  // namespace bgtask::e2e
