// Stopped children are reported, can be continued and can be ended, no matter which process stopped them.
#include <csignal>
#include <fstream>
#include <random>

#include "tests/faults/fault_test.h"

namespace bgtask::faults {
namespace {

class SignalsToChild : public FaultTest {
 protected:
  bool is_in_state(Task& task, const std::string& state) const {
    return eventually([&] { return task.info(true)["status"]["state"] == state; });
  }
  /// A child that stops itself whenever it is continued and prints how often it was.
  Task stopping() const { return shell("n=0; while :; do kill -STOP $$; n=$((n+1)); echo $n; done"); }
};

TEST_F(SignalsToChild, G5_WhatEndsARunningChildEndsAPausedOne) {
  Task task = awkward({"sleep"});
  const std::vector<std::string> signals = {"HUP",  "INT",  "QUIT", "ABRT",   "KILL",    "USR1", "USR2",
                                            "ALRM", "TERM", "PIPE", "STKFLT", "XCPU",    "PROF", "VTALRM",
                                            "IO",   "PWR",  "SYS",  "RTMIN",  "RTMIN+30"};
  for (const std::string& signal : signals) {
    for (Scope scope : {Scope::kProcess, Scope::kGroup, Scope::kTree}) {
      SCOPED_TRACE(signal + " scope " + std::to_string(static_cast<int>(scope)));
      ASSERT_EQ(task.pause(), 1u);
      const pid_t child = child_of(task);
      ASSERT_TRUE(eventually([&] { return e2e::process_state(child) == 'T'; }));
      EXPECT_EQ(task.info(true)["status"]["state"], "paused");
      EXPECT_EQ(task.kill(Signal(signal), scope), 1u);
      const Json status = wait_exit(task);
      EXPECT_EQ(status["state"], "exited");
      EXPECT_EQ(status["paused"], false);
      EXPECT_EQ(status["signal"], signal);
      EXPECT_EQ(status["exit_code"], nullptr);
      ASSERT_TRUE(task.restart());
    }
  }
}

TEST_F(SignalsToChild, G5_AWholePausedTreeIsEnded) {
  for (const char* signal : {"TERM", "KILL"}) {
    Task task = awkward({"family"});
    const auto family = family_of(task, 4);
    ASSERT_EQ(task.pause(), 4u);
    for (const auto& [role, pid] : family)
      ASSERT_TRUE(eventually([pid = pid] { return e2e::process_state(pid) == 'T'; })) << role;
    EXPECT_EQ(task.kill(signal, Scope::kTree), 4u);
    EXPECT_EQ(wait_exit(task)["signal"], signal);
    for (const auto& [role, pid] : family)
      EXPECT_TRUE(eventually([pid = pid] { return e2e::gone(pid); })) << role;
    task.remove();
  }
}

TEST_F(SignalsToChild, G4_EveryStopOfAChildIsSeenAndCanBeUndone) {
  Task task = stopping();
  const int rounds = scaled(60, 1'000);
  std::string expected;
  for (int round = 1; round <= rounds; ++round) {
    ASSERT_TRUE(is_in_state(task, "paused")) << "round " << round;
    ASSERT_EQ(task.stream("stdout").peek().data, expected) << "it is stopped, not merely called so";
    EXPECT_EQ(task.snapshot()["status"]["paused"], true);
    EXPECT_EQ(task.snapshot()["status"]["running"], true);
    ASSERT_EQ(task.resume(), 1u);
    expected += std::to_string(round) + "\n";
    ASSERT_TRUE(wait_limit(task, "stdout", expected.size())) << "round " << round;
  }
  ASSERT_TRUE(is_in_state(task, "paused"));
  EXPECT_EQ(task.kill("TERM"), 1u);
  EXPECT_EQ(wait_exit(task)["signal"], "TERM");
}

TEST_F(SignalsToChild, G4_StopsFromElsewhereAreSeenHoweverFastTheyFollow) {
  Task task = awkward({"sleep"});
  const pid_t child = child_of(task);
  std::mt19937 random(seed());
  for (int round = 0; round < scaled(60, 2'000); ++round) {
    const unsigned last = random() % 2;
    for (unsigned i = 0; i < 20 + random() % 20; ++i)
      ASSERT_TRUE(e2e::send_signal(child, random() % 2 == 0 ? SIGSTOP : SIGCONT));
    ASSERT_TRUE(e2e::send_signal(child, last == 0 ? SIGSTOP : SIGCONT));
    ASSERT_TRUE(is_in_state(task, last == 0 ? "paused" : "running"))
        << "seed " << seed() << " round " << round;
  }
  task.kill("KILL");
  EXPECT_EQ(wait_exit(task)["signal"], "KILL");
}

// A stop that the supervisor has not noticed yet must not prevent the child's end.
TEST_F(SignalsToChild, G5_AStopThatTheSupervisorHasNotSeenYetDoesNotSaveTheChild) {
  for (const char* scope : {"process", "group"}) {
    Task task = awkward({"sleep"});
    const pid_t child = child_of(task);
    e2e::RawClient client(socket_of(task));
    ASSERT_EQ(client.result("ping"), "pong");
    ASSERT_TRUE(e2e::send_signal(task.pid(), SIGSTOP));
    ASSERT_TRUE(eventually([&] { return e2e::process_state(task.pid()) == 'T'; }));
    const Json id = client.request("kill", {{"signal", "TERM"}, {"scope", scope}});  // it finds this first
    ASSERT_TRUE(e2e::send_signal(child, SIGSTOP));
    ASSERT_TRUE(eventually([&] { return e2e::process_state(child) == 'T'; }));
    ASSERT_TRUE(e2e::send_signal(task.pid(), SIGCONT));
    const auto reply = client.receive();
    ASSERT_TRUE(reply.has_value());
    EXPECT_EQ((*reply)["id"], id);
    EXPECT_EQ(wait_exit(task)["signal"], "TERM") << scope;
  }
}

TEST_F(SignalsToChild, G5_AnAdoptedChildThatStoppedItselfIsSeenAndCanBeEnded) {
  for (bool asked_before : {true, false}) {
    const std::filesystem::path gate = make_fifo(asked_before ? "gate" : "other");
    Task task = shell("read go <" + gate.string() + "; kill -STOP $$; echo woke; exec sleep 1000");
    const pid_t child = child_of(task);
    kill_supervisor(task);
    Task adopted = pool().adopt(task.pid());
    std::ofstream(gate) << "go\n";
    ASSERT_TRUE(eventually([&] { return e2e::process_state(child) == 'T'; }));
    if (asked_before) {
      EXPECT_TRUE(is_in_state(adopted, "paused"));
      EXPECT_EQ(adopted.resume(), 1u);
      ASSERT_TRUE(wait_limit(adopted, "stdout", 5));
      EXPECT_TRUE(is_in_state(adopted, "running"));
      ASSERT_TRUE(e2e::send_signal(child, SIGSTOP));
      ASSERT_TRUE(eventually([&] { return e2e::process_state(child) == 'T'; }));
    }
    EXPECT_EQ(adopted.kill("TERM"), 1u);
    EXPECT_EQ(wait_exit(adopted)["state"], "exited");
    EXPECT_TRUE(e2e::gone(child));
  }
}

}  // namespace
}  // namespace bgtask::faults
