// Signals, pausing and resuming, and whom they reach.
#include <signal.h>

#include <algorithm>

#include "tests/e2e/fixture.h"

namespace bgtask::e2e {
namespace {

using ControlTest = E2eTest;

bool all_in_state(const std::map<std::string, pid_t>& family, char state) {
  return std::all_of(family.begin(), family.end(),
                     [state](const auto& member) { return process_state(member.second) == state; });
}

TEST_F(ControlTest, PauseStopsTheWholeTreeAndResumeContinuesIt) {
  Task task = awkward({"family"});
  const auto family = family_of(task, 4);
  EXPECT_EQ(task.info(true)["descendants"], 3);
  EXPECT_EQ(task.pause(), 4u);
  EXPECT_TRUE(eventually([&] { return all_in_state(family, 'T'); }));
  const Json paused = task.info(true)["status"];
  EXPECT_EQ(paused["state"], "paused");
  EXPECT_EQ(paused["paused"], true);
  EXPECT_EQ(paused["running"], true) << "a paused child lives";
  EXPECT_EQ(pool().search({{"status", {{"paused", 1}}}}).size(), 1u);
  EXPECT_EQ(task.resume(), 4u);
  EXPECT_TRUE(eventually([&] { return all_in_state(family, 'S'); }));
  EXPECT_TRUE(eventually([&] { return task.info(true)["status"]["state"] == "running"; }));
  EXPECT_EQ(task.info()["status"]["paused"], false);
}

TEST_F(ControlTest, PauseAndResumeThroughTheCommandLine) {
  Task task = awkward({"family"});
  const auto family = family_of(task, 4);
  const std::string pid = std::to_string(task.pid());
  EXPECT_EQ(bgtask({"pause", pid}).status, 0);
  EXPECT_TRUE(eventually([&] { return all_in_state(family, 'T'); }));
  EXPECT_NE(bgtask({"ls", "--state", "paused", "-o", "name"}).out.find(pid), std::string::npos);
  EXPECT_EQ(bgtask({"resume", pid}).status, 0);
  EXPECT_TRUE(eventually([&] { return all_in_state(family, 'S'); }));
}

TEST_F(ControlTest, TermKillsAPausedTask) {
  Task task = awkward({"sleep"});
  task.pause();
  ASSERT_TRUE(eventually([&] { return task.info(true)["status"]["paused"] == true; }));
  EXPECT_EQ(task.kill("TERM"), 1u);
  const Json status = wait_exit(task);
  EXPECT_EQ(status["signal"], "TERM");
  EXPECT_EQ(status["paused"], false);
}

TEST_F(ControlTest, ATaskThatStoppedItselfIsPausedAndCanBeResumed) {
  Task task = awkward({"stop"});
  EXPECT_TRUE(eventually([&] { return task.info(true)["status"]["paused"] == true; }));
  EXPECT_TRUE(eventually([&] { return task.snapshot()["status"]["state"] == "paused"; }));
  EXPECT_EQ(task.resume(), 1u);
  EXPECT_EQ(wait_exit(task)["exit_code"], 0);
  EXPECT_EQ(task.stream("stdout").read().data, "stopping\ncontinued\n");
}

TEST_F(ControlTest, AScopeReachesWhomItNamesAndNobodyElse) {
  Task process = awkward({"family"});
  auto family = family_of(process, 4);
  EXPECT_EQ(process.kill("TERM", Scope::kProcess), 1u);
  EXPECT_EQ(wait_exit(process)["signal"], "TERM");
  EXPECT_TRUE(gone(family["leader"]));
  for (const char* role : {"member", "session", "daemon"})
    EXPECT_FALSE(gone(family[role])) << role;

  Task group = awkward({"family"});
  family = family_of(group, 4);
  EXPECT_EQ(group.kill("TERM"), 2u);
  EXPECT_EQ(wait_exit(group)["signal"], "TERM");
  EXPECT_TRUE(eventually([&] { return gone(family["member"]); }));
  for (const char* role : {"session", "daemon"})
    EXPECT_FALSE(gone(family[role])) << role;

  Task tree = awkward({"family"});
  family = family_of(tree, 4);
  EXPECT_EQ(tree.kill("TERM", Scope::kTree), 4u);
  EXPECT_EQ(wait_exit(tree)["signal"], "TERM");
  EXPECT_TRUE(eventually([&] {
    return std::all_of(family.begin(), family.end(), [](const auto& member) { return gone(member.second); });
  }));
}

TEST_F(ControlTest, TheTreeIsReachedAlsoAfterTheEndOfTheChild) {
  Task task = awkward({"family", "leave"});
  const auto family = family_of(task, 3);
  EXPECT_EQ(wait_exit(task)["exit_code"], 0);
  EXPECT_EQ(task.info(true)["descendants"], 3);
  EXPECT_EQ(error_of([&] { task.kill("TERM", Scope::kProcess); }).code(), "already_exited");
  EXPECT_EQ(task.kill("TERM", Scope::kTree), 3u);
  EXPECT_TRUE(eventually([&] { return task.info(true)["descendants"] == 0; }));
  for (const auto& member : family)
    EXPECT_TRUE(gone(member.second)) << member.first;
}

TEST_F(ControlTest, SignallingATaskThatHasExitedIsSaid) {
  Task task = awkward({"exit", "0"});
  wait_exit(task);
  EXPECT_EQ(error_of([&] { task.kill(); }).code(), "already_exited");
  EXPECT_EQ(error_of([&] { task.kill("TERM"); }).code(), "already_exited");
  EXPECT_EQ(error_of([&] { task.pause(); }).code(), "already_exited");
}

TEST_F(ControlTest, SignalsHaveNamesAndNumbers) {
  const std::map<std::string, Signal> spellings = {
      {"USR1", "USR1"}, {"USR2", "SIGUSR2"}, {"HUP", 1}, {"RTMIN+3", "RTMIN+3"}, {"KILL", "KILL"}};
  for (const auto& spelling : spellings) {
    Task task = awkward({"sleep"});
    EXPECT_EQ(task.kill(spelling.second), 1u);
    EXPECT_EQ(wait_exit(task)["signal"], spelling.first);
  }
  Task task = awkward({"sleep"});
  for (const Signal& wrong : {Signal(0), Signal(65), Signal(-1), Signal("NONSENSE"), Signal("")}) {
    EXPECT_EQ(error_of([&] { task.kill(wrong); }).code(), "bad_argument");
  }
  EXPECT_EQ(task.info(true)["status"]["state"], "running");
  EXPECT_EQ(task.kill(), 1u) << "KILL unless told otherwise";
  EXPECT_EQ(wait_exit(task)["signal"], "KILL");
}

TEST_F(ControlTest, TheCommandLineKillsWhatIsSelected) {
  Task chosen = awkward({"sleep"}, {.meta = {{"team", "web"}}});
  Task other = awkward({"sleep"}, {.meta = {{"team", "mail"}}});
  Task third = awkward({"sleep"}, {.meta = {{"team", "web"}}});
  EXPECT_EQ(bgtask({"kill"}).status, 125);
  const ProgramResult killed = bgtask({"kill", "-s", "TERM", "-l", "team=web"});
  EXPECT_EQ(killed.status, 0) << killed.err;
  EXPECT_EQ(wait_exit(chosen)["signal"], "TERM");
  EXPECT_EQ(wait_exit(third)["signal"], "TERM");
  EXPECT_EQ(other.info(true)["status"]["state"], "running");
}

TEST_F(ControlTest, AnIdleSupervisorSleeps) {
  Task idle = awkward({"sleep"});
  idle.info(true);
  idle.disconnect();
  const auto switches = [&] { return process_number(idle.pid(), "voluntary_ctxt_switches"); };
  // Let it finish what our going away has caused: asleep and unmoved while a whole task comes and goes.
  ASSERT_TRUE(eventually([&] {
    if (!at_rest(idle.pid())) return false;
    const int64_t before = switches();
    Task brief = awkward({"exit", "0"});
    wait_exit(brief);
    brief.remove();
    return switches() == before;
  }));
  const int64_t before = switches();
  Task timed = shell("sleep 3");
  wait_exit(timed);
  EXPECT_EQ(switches(), before) << "it must have no timer and poll nothing";
}

}  // namespace
}  // namespace bgtask::e2e
