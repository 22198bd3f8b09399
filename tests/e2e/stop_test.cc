// stop and the run-time limit: every process ends, the task stays, and its status says why.
#include <signal.h>

#include "tests/e2e/fixture.h"

namespace bgtask::e2e {
namespace {

using Clock = std::chrono::steady_clock;

class StopTest : public E2eTest {
 protected:
  static void expect_stopped(const StopReceipt& receipt, uint64_t signalled, uint64_t killed) {
    EXPECT_EQ(receipt.signalled, signalled);
    EXPECT_EQ(receipt.exited, signalled - killed);
    EXPECT_EQ(receipt.killed, killed);
    EXPECT_TRUE(receipt.survivors.empty());
  }
  static void expect_gone(const std::map<std::string, pid_t>& processes) {
    for (const auto& process : processes)
      EXPECT_TRUE(gone(process.second)) << process.first;
  }
};

TEST_F(StopTest, EndsTheTreeAndKeepsTheTask) {
  Task task = awkward({"family"});
  const auto family = family_of(task, 4);
  expect_stopped(task.stop({.grace = kNoHurry}), 4, 0);
  expect_gone(family);
  const Json info = task.info(true);
  EXPECT_EQ(info["status"]["state"], "exited") << "published before the reply";
  EXPECT_EQ(info["status"]["signal"], "TERM");
  EXPECT_EQ(info["status"]["reason"], "stopped");
  EXPECT_EQ(info["descendants"], 0);
  EXPECT_EQ(info["actions"].back()["action"], "stop");
  EXPECT_FALSE(task.stream("stdout").peek().data.empty()) << "its output stays";
}

TEST_F(StopTest, KillsTreeAfterGraceWhenTermIsIgnored) {
  Task task = awkward({"family", "stubborn"});
  const auto family = family_of(task, 4);
  expect_stopped(task.stop({.grace = Seconds(0.2)}), 4, 4);
  expect_gone(family);
  EXPECT_EQ(task.info(true)["status"]["signal"], "KILL");
  EXPECT_EQ(task.info(true)["status"]["reason"], "stopped") << "not out_of_memory, not a crash";
}

TEST_F(StopTest, ContinuesAPausedTaskSoThatItActsOnTheSignal) {
  Task task = awkward({"goodbye"});
  ASSERT_TRUE(wait_limit(task, "stdout", 6));
  task.pause();
  expect_stopped(task.stop({.grace = kNoHurry}), 1, 0);
  wait_eof(task);
  EXPECT_EQ(task.stream("stdout").peek().data, "ready\ngoodbye\n");
  EXPECT_EQ(task.info(true)["status"]["exit_code"], 0);
  EXPECT_EQ(task.info(true)["status"]["reason"], "stopped");
}

TEST_F(StopTest, OfAnEndedTaskGivesZerosAndKeepsItsStatus) {
  Task task = awkward({"exit", "3"});
  const Json status = wait_exit(task);
  expect_stopped(task.stop(), 0, 0);
  EXPECT_EQ(task.info(true)["status"], status);
}

TEST_F(StopTest, OfDescendantsWhoseCommandHasEndedKeepsItsStatus) {
  Task task = awkward({"family", "leave"});
  const auto family = family_of(task, 3);
  const Json status = wait_exit(task);
  EXPECT_EQ(task.info(true)["descendants"], 3);
  expect_stopped(task.stop({.grace = kNoHurry}), 3, 0);
  expect_gone(family);
  EXPECT_EQ(task.info(true)["status"], status) << "reason null: the command had ended before";
}

TEST_F(StopTest, ACrashHasNoReason) {
  Task task = awkward({"sleep"});
  task.kill("TERM");
  EXPECT_EQ(wait_exit(task)["reason"], nullptr);
}

TEST_F(StopTest, UsesTheTasksOwnSignalAndGrace) {
  Task task =
      shell("trap 'echo interrupted; exit 4' INT; trap '' TERM; echo ready; while :; do sleep 0.01; done",
            {.stop_signal = "INT", .stop_grace = kNoHurry});
  ASSERT_TRUE(wait_limit(task, "stdout", 6));
  const Json info = task.info(true);
  EXPECT_EQ(info["stop_signal"], "INT");
  EXPECT_EQ(info["stop_grace"], 60.0);
  EXPECT_EQ(info["timeout"], nullptr);
  EXPECT_EQ(task.stop().killed, 0u);
  EXPECT_EQ(task.info(true)["status"]["exit_code"], 4);
  EXPECT_EQ(task.info(true)["status"]["reason"], "stopped");
}

TEST_F(StopTest, DeleteUsesTheTasksOwnSignalAndGrace) {
  Task task = shell("trap 'exit 4' INT; trap '' TERM; echo ready; while :; do sleep 0.01; done",
                    {.stop_signal = SIGINT, .stop_grace = kNoHurry});
  ASSERT_TRUE(wait_limit(task, "stdout", 6));
  EXPECT_EQ(task.remove().killed, 0u);
  // The default grace of delete would be 3 s; a busy machine can take that long once, hence the attempts.
  EXPECT_TRUE(eventually([&] {
    Task stubborn = awkward({"family", "stubborn"}, {.stop_grace = Seconds(0)});
    family_of(stubborn, 4);
    const auto began = Clock::now();
    EXPECT_EQ(stubborn.remove().killed, 4u);
    return Clock::now() - began < std::chrono::seconds(3);
  }));
}

TEST_F(StopTest, TheRequestsSignalGoesBeforeTheTasks) {
  Task task = awkward({"sleep"}, {.stop_signal = "INT"});
  expect_stopped(task.stop({.grace = kNoHurry, .signal = "HUP"}), 1, 0);
  EXPECT_EQ(task.info(true)["status"]["signal"], "HUP");
  Task killed = awkward({"sleep"});
  expect_stopped(killed.stop({.signal = SIGKILL}), 1, 1);
  EXPECT_EQ(killed.info(true)["status"]["signal"], "KILL");
}

TEST_F(StopTest, InfoShowsTheDefaults) {
  Task task = awkward({"sleep"});
  const Json info = task.info(true);
  EXPECT_EQ(info["timeout"], nullptr);
  EXPECT_EQ(info["stop_signal"], "TERM");
  EXPECT_EQ(info["stop_grace"], 10.0);
}

TEST_F(StopTest, ASecondStopSharesTheOutcomeAndCanShortenTheGrace) {
  Task task = awkward({"family", "stubborn"});
  const auto family = family_of(task, 4);
  RawClient patient(socket_of(task));
  patient.request("stop", {{"grace", 1000}});
  RawClient hasty(socket_of(task));
  EXPECT_EQ(error_word(hasty.call("restart")), "busy");
  EXPECT_EQ(hasty.result("stop", {{"grace", 0}})["killed"], 4);
  const auto reply = patient.receive();
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ((*reply)["result"]["killed"], 4);
  expect_gone(family);
}

TEST_F(StopTest, ADeleteDuringAStopFollowsIt) {
  Task task = awkward({"stubborn"});
  ASSERT_TRUE(wait_limit(task, "stdout", 1));
  RawClient client(socket_of(task));
  client.request("stop", {{"grace", 1000}});
  EXPECT_EQ(task.remove({.grace = Seconds(0)}).killed, 1u);
  const auto reply = client.receive();
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ((*reply)["result"]["killed"], 1);
  EXPECT_TRUE(gone(task.pid()));
}

TEST_F(StopTest, GoesOnWhenTheClientLeaves) {
  Task task = awkward({"stubborn"});
  ASSERT_TRUE(wait_limit(task, "stdout", 1));
  {
    RawClient client(socket_of(task));
    client.request("stop", {{"grace", 0.3}});
    EXPECT_EQ(client.result("ping"), "pong");
  }
  EXPECT_EQ(wait_exit(task)["reason"], "stopped");
}

TEST_F(StopTest, OfAnAdoptedTask) {
  Task task = awkward({"family"});
  const auto family = family_of(task, 4);
  kill_supervisor(task);
  Task adopted = pool().adopt(task.pid());
  EXPECT_EQ(adopted.stop({.grace = kNoHurry}).signalled, 4u);
  expect_gone(family);
  EXPECT_EQ(adopted.info(true)["status"]["reason"], "stopped");
}

TEST_F(StopTest, ByTheCommandLine) {
  Task task = awkward({"sleep"}, {.stop_signal = "INT"});
  const ProgramResult stopped = bgtask({"stop", std::to_string(task.pid())});
  EXPECT_EQ(stopped.status, 0) << stopped.err;
  EXPECT_NE((stopped.out + stopped.err).find("sent INT to 1 process"), std::string::npos) << stopped.err;
  EXPECT_EQ(task.info(true)["status"]["reason"], "stopped");
}

class TimeoutTest : public StopTest {};

TEST_F(TimeoutTest, EndsTheTaskAndSaysSo) {
  const auto began = Clock::now();
  Task task = awkward({"family"}, {.timeout = Seconds(2), .stop_grace = kNoHurry});
  const auto family = family_of(task, 4);
  EXPECT_EQ(task.info(true)["timeout"], 2.0);
  const Json status = wait_exit(task);
  EXPECT_GE(Clock::now() - began, std::chrono::milliseconds(1980)) << "the start is rounded down to 10 ms";
  EXPECT_EQ(status["reason"], "timeout");
  EXPECT_EQ(status["signal"], "TERM");
  EXPECT_TRUE(eventually([&] { return task.info(true)["descendants"] == 0; }));
  expect_gone(family);
}

TEST_F(TimeoutTest, KillsTreeAfterGraceWhenTermIsIgnored) {
  Task task = awkward({"family", "stubborn"}, {.timeout = Seconds(2), .stop_grace = Seconds(0.2)});
  const auto family = family_of(task, 4);
  EXPECT_EQ(wait_exit(task)["reason"], "timeout");
  EXPECT_EQ(task.info(true)["status"]["signal"], "KILL");
  EXPECT_TRUE(eventually([&] { return task.info(true)["descendants"] == 0; }));
  expect_gone(family);
}

TEST_F(TimeoutTest, DoesNotStandStillWhilePaused) {
  Task task = awkward({"sleep"}, {.timeout = Seconds(0.5), .stop_grace = kNoHurry});
  task.pause();
  EXPECT_EQ(wait_exit(task)["reason"], "timeout");
}

TEST_F(TimeoutTest, LeavesARunThatEndsInTimeAlone) {
  Task task = awkward({"family", "leave"}, {.timeout = Seconds(2)});
  const auto family = family_of(task, 3);
  EXPECT_EQ(wait_exit(task)["reason"], nullptr);
  const auto until = Clock::now() + std::chrono::milliseconds(2200);
  EXPECT_FALSE(eventually([&] { return task.info(true)["descendants"] != 3; },
                          std::chrono::duration_cast<Milliseconds>(until - Clock::now())))
      << "the limit is one of the command's run, and that is over";
}

TEST_F(TimeoutTest, CountsAnewAfterARestart) {
  Task task = shell("exec sleep $(cat " + (base() / "time").string() + ")", {.timeout = Seconds(2)});
  // The file is missing in the first run, which ends at once.
  wait_exit(task);
  write_whole(base() / "time", "1000");
  ASSERT_TRUE(task.restart());
  EXPECT_EQ(wait_exit(task)["reason"], "timeout");
  write_whole(base() / "time", "0");
  ASSERT_TRUE(task.restart());
  EXPECT_EQ(wait_exit(task)["exit_code"], 0);
  EXPECT_EQ(task.info(true)["status"]["reason"], nullptr);
}

TEST_F(TimeoutTest, SurvivesAdoption) {
  const auto began = Clock::now();
  Task task = awkward({"sleep"}, {.timeout = Seconds(2), .stop_grace = kNoHurry});
  kill_supervisor(task);
  Task adopted = pool().adopt(task.pid());
  EXPECT_EQ(adopted.info(true)["timeout"], 2.0);
  EXPECT_EQ(wait_exit(adopted)["reason"], "timeout");
  const auto taken = Clock::now() - began;
  EXPECT_GE(taken, std::chrono::milliseconds(1900));
  EXPECT_LT(taken, std::chrono::seconds(30));
}

TEST_F(TimeoutTest, ThatPassedWithoutASupervisorEndsTheTaskAtAdoption) {
  Task task = awkward({"sleep"}, {.timeout = Seconds(0.3), .stop_grace = kNoHurry});
  const auto began = Clock::now();
  kill_supervisor(task);
  ASSERT_TRUE(eventually([&] { return Clock::now() - began > std::chrono::milliseconds(400); }));
  Task adopted = pool().adopt(task.pid());
  EXPECT_EQ(wait_exit(adopted)["reason"], "timeout");
}

TEST_F(TimeoutTest, AStopThatCameFirstGivesTheReason) {
  Task task = awkward({"stubborn"}, {.timeout = Seconds(0.5)});
  ASSERT_TRUE(wait_limit(task, "stdout", 1));
  task.stop({.grace = Seconds(1)});
  EXPECT_EQ(task.info(true)["status"]["reason"], "stopped");
}

}  // namespace
}  // namespace bgtask::e2e
