// delete: nothing is left, and the receipt is true.
#include <signal.h>

#include "tests/e2e/fixture.h"
#include "tests/e2e/pattern.h"

namespace bgtask::e2e {
namespace {

class DeleteTest : public E2eTest {
 protected:
  void expect_nothing_left(const Task& task, const std::map<std::string, pid_t>& processes = {}) {
    EXPECT_TRUE(gone(task.pid()));
    EXPECT_EQ(names_in(pool().path()), std::vector<std::string>());
    for (const auto& process : processes)
      EXPECT_TRUE(gone(process.second)) << process.first;
    EXPECT_EQ(own_processes(), std::vector<pid_t>());
    EXPECT_FALSE(pool().task(task.pid()).has_value());
  }
};

TEST_F(DeleteTest, OfARunningTask) {
  Task task = awkward({"sleep"});
  const std::filesystem::path socket = socket_of(task);
  const RemoveReceipt receipt = task.remove({.grace = kNoHurry});
  EXPECT_EQ(receipt.signalled, 1u);
  EXPECT_EQ(receipt.exited, 1u);
  EXPECT_EQ(receipt.killed, 0u);
  EXPECT_TRUE(receipt.survivors.empty());
  EXPECT_TRUE(receipt.output.empty());
  expect_nothing_left(task);
  EXPECT_FALSE(RawClient(socket).connected());
  EXPECT_EQ(error_of([&] { task.info(true); }).code(), "not_found");
}

TEST_F(DeleteTest, GivesThreeSecondsUnlessToldOtherwise) {
  using Clock = std::chrono::steady_clock;
  for (const bool by_library : {true, false}) {
    Task task = awkward({"family", "stubborn"});
    const auto family = family_of(task, 4);
    const auto began = Clock::now();
    if (by_library)
      EXPECT_EQ(task.remove().killed, 4u);
    else
      EXPECT_EQ(RawClient(socket_of(task)).result("delete")["killed"], 4);
    EXPECT_GE(Clock::now() - began, std::chrono::seconds(3));
    EXPECT_TRUE(eventually([&] { return gone(task.pid()); }));
    expect_nothing_left(task, family);
  }
}

TEST_F(DeleteTest, OfAnExitedTask) {
  Task task = awkward({"exit", "3"});
  wait_exit(task);
  const RemoveReceipt receipt = task.remove();
  EXPECT_EQ(receipt.signalled, 0u);
  EXPECT_EQ(receipt.killed, 0u);
  expect_nothing_left(task);
}

TEST_F(DeleteTest, OfATreeThatChangedSessions) {
  Task task = awkward({"family"});
  const auto family = family_of(task, 4);
  const RemoveReceipt receipt = task.remove({.grace = kNoHurry});
  EXPECT_EQ(receipt.signalled, 4u);
  EXPECT_EQ(receipt.exited, 4u);
  EXPECT_EQ(receipt.killed, 0u);
  expect_nothing_left(task, family);
}

TEST_F(DeleteTest, OfWhatIgnoresTermKillsAfterTheGrace) {
  Task task = awkward({"family", "stubborn"});
  const auto family = family_of(task, 4);
  const RemoveReceipt receipt = task.remove({.grace = Seconds(0.2)});
  EXPECT_EQ(receipt.signalled, 4u);
  EXPECT_EQ(receipt.exited, 0u);
  EXPECT_EQ(receipt.killed, 4u);
  EXPECT_TRUE(receipt.survivors.empty());
  expect_nothing_left(task, family);
}

TEST_F(DeleteTest, OfDescendantsWhoseParentHasLeft) {
  Task task = awkward({"family", "leave"});
  const auto family = family_of(task, 3);
  wait_exit(task);
  const RemoveReceipt receipt = task.remove({.grace = kNoHurry});
  EXPECT_EQ(receipt.signalled, 3u);
  EXPECT_EQ(receipt.exited, 3u);
  expect_nothing_left(task, family);
}

TEST_F(DeleteTest, OfAPausedTaskContinuesItSoThatTermIsSeen) {
  Task task = awkward({"goodbye"});
  ASSERT_TRUE(wait_limit(task, "stdout", 6));
  task.pause();
  ASSERT_TRUE(eventually([&] { return task.info(true)["status"]["paused"] == true; }));
  const RemoveReceipt receipt = task.remove({.grace = kNoHurry, .collect = true});
  EXPECT_EQ(receipt.signalled, 1u);
  EXPECT_EQ(receipt.exited, 1u);
  EXPECT_EQ(receipt.killed, 0u);
  std::string output;
  for (const OutputChunk& chunk : receipt.output)
    output += chunk.data;
  EXPECT_EQ(output, "ready\ngoodbye\n") << "output of the last moment is collected too";
  expect_nothing_left(task);
}

TEST_F(DeleteTest, WithCollectHandsBackWhatWasUnread) {
  Task task = awkward({"puppet"}, {.buffer = 4u << 20});
  task.stream("stdin").write_all("out read\nout unread\nerr error\ndata message\npattern 0 3000000\n");
  ASSERT_TRUE(wait_limit(task, "stdout", 5 + 7 + 3'000'000));
  EXPECT_EQ(task.stream("stdout").read(0, 5).data, "read\n");
  const RemoveReceipt receipt = task.remove({.collect = true});
  std::map<std::string, std::string> collected;
  for (const OutputChunk& chunk : receipt.output)
    collected[chunk.stream] += chunk.data;
  EXPECT_TRUE(collected["stdout"] == "unread\n" + pattern(0, 3'000'000));
  EXPECT_EQ(collected["stderr"], "error\n");
  EXPECT_EQ(collected["data"], "message");
  expect_nothing_left(task);
}

class RawDeleteTest : public DeleteTest, public testing::WithParamInterface<Encoding> {};

TEST_P(RawDeleteTest, SendsTheOutputBeforeTheReply) {
  Task task = shell("printf unread; printf error >&2; sleep 1000");
  ASSERT_TRUE(wait_limit(task, "stderr", 5));
  RawClient client(socket_of(task), GetParam());
  const Json receipt = client.result("delete", {{"collect", true}, {"grace", 5}});
  EXPECT_EQ(receipt["survivors"], Json::array());
  EXPECT_GE(receipt["signalled"], 1);
  EXPECT_EQ(receipt["killed"], 0);
  std::map<std::string, std::string> collected;
  for (const Json& event : client.events) {
    EXPECT_EQ(event["method"], "event");
    EXPECT_EQ(event["params"]["event"], "output");
    for (const Json& chunk : event["params"]["chunks"]) {
      collected[chunk["stream"]] += bytes_of(chunk["data"]);
    }
  }
  EXPECT_EQ(collected, (std::map<std::string, std::string>{{"stderr", "error"}, {"stdout", "unread"}}));
  EXPECT_TRUE(client.closed_by_peer());
  EXPECT_TRUE(eventually([&] { return gone(task.pid()); }));
  expect_nothing_left(task);
}

INSTANTIATE_TEST_SUITE_P(Encodings, RawDeleteTest, testing::Values(Encoding::kJson, Encoding::kMsgpack),
                         [](const auto& test) { return encoding_name(test.param); });

class SupervisorSignalTest : public DeleteTest, public testing::WithParamInterface<int> {};

TEST_P(SupervisorSignalTest, MeansDelete) {
  Task task = awkward({"family"});
  const auto family = family_of(task, 4);
  ASSERT_TRUE(send_signal(task.pid(), GetParam()));
  EXPECT_TRUE(eventually([&] { return gone(task.pid()); }));
  expect_nothing_left(task, family);
}

INSTANTIATE_TEST_SUITE_P(Signals, SupervisorSignalTest, testing::Values(SIGHUP, SIGINT, SIGTERM),
                         [](const auto& test) { return std::string(sigabbrev_np(test.param)); });

TEST_F(DeleteTest, WakesThoseWhoWaitAndCutsTheirConnections) {
  Task task = awkward({"sleep"});
  RawClient waiter(socket_of(task));
  waiter.request("wait", {{"for", {"exit"}}});
  RawClient idle(socket_of(task));
  EXPECT_EQ(idle.result("ping"), "pong");
  task.remove({.grace = kNoHurry});
  const auto reply = waiter.receive();
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ((*reply)["result"]["fired"], "exit");
  EXPECT_EQ((*reply)["result"]["status"]["signal"], "TERM");
  EXPECT_TRUE(idle.closed_by_peer());
}

TEST_F(DeleteTest, OfOneTaskLeavesTheOthers) {
  std::vector<Task> tasks;
  for (int i = 0; i < 5; ++i)
    tasks.push_back(awkward({"sleep"}));
  const ProgramResult removed =
      bgtask({"delete", std::to_string(tasks[1].pid()), std::to_string(tasks[3].pid())});
  EXPECT_EQ(removed.status, 0) << removed.err;
  for (size_t i : {0, 2, 4})
    EXPECT_EQ(tasks[i].info(true)["status"]["state"], "running") << i;
  for (size_t i : {1, 3})
    EXPECT_TRUE(gone(tasks[i].pid())) << i;
  EXPECT_EQ(names_in(pool().path()).size(), 3u);
}

TEST_F(DeleteTest, ByTheCommandLineOfAll) {
  for (int i = 0; i < 4; ++i)
    awkward({i % 2 == 0 ? "sleep" : "exit", "0"});
  EXPECT_EQ(bgtask({"rm", "-a"}).status, 0);
  EXPECT_EQ(names_in(pool().path()), std::vector<std::string>());
  EXPECT_EQ(own_processes(), std::vector<pid_t>());
}

}  // namespace
}  // namespace bgtask::e2e
