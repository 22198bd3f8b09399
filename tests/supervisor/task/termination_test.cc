#include "supervisor/task/termination.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <csignal>

namespace bgtask::supervisor {
namespace {

using Kind = StopResult::Kind;

const StopPlan kTermThenKill{{{SIGTERM, 1000}}};

TreeView alive(std::vector<pid_t> pids) {
  return {std::move(pids), true, 0, false};
}
TreeView none() {
  return {};
}
TreeView unseen(std::vector<pid_t> pids = {}) {
  return {std::move(pids), false, EMFILE, false};
}

class TerminationTest : public testing::Test {
 protected:
  /// Begins at time 0 and reports that the first signal reached these processes.
  void begin(const StopPlan& plan, const std::set<pid_t>& reached) {
    const auto effects = termination.begin(plan, 0);
    EXPECT_EQ(effects.signal, plan.steps.front().signal);
    EXPECT_TRUE(effects.then_continue);
    EXPECT_EQ(termination.signalled(reached, true, 0).look_in_ms, 0u);
  }

  Termination termination;
};

TEST_F(TerminationTest, StopsWithoutKillWhenAllExitWithinTheGrace) {
  begin(kTermThenKill, {1, 2});
  EXPECT_EQ(termination.looked(alive({1, 2}), 1).look_in_ms, 20u);
  EXPECT_EQ(termination.looked(alive({2}), 500).look_in_ms, 62u);
  const auto effects = termination.looked(none(), 700);
  ASSERT_TRUE(effects.result);
  EXPECT_EQ(effects.result->kind, Kind::kStopped);
  EXPECT_EQ(effects.result->receipt.signalled, 2u);
  EXPECT_EQ(effects.result->receipt.exited, 2u);
  EXPECT_EQ(effects.result->receipt.killed, 0u);
  EXPECT_FALSE(termination.under_way());
}

TEST_F(TerminationTest, GivesAReceiptOfZerosWhenNothingIsAlive) {
  begin(kTermThenKill, {});
  const auto effects = termination.looked(none(), 0);
  ASSERT_TRUE(effects.result);
  EXPECT_EQ(effects.result->kind, Kind::kStopped);
  EXPECT_EQ(effects.result->receipt.signalled, 0u);
}

TEST_F(TerminationTest, WaitsForTheCommandToBeReaped) {
  begin(kTermThenKill, {1});
  TreeView zombie = none();
  zombie.command_reaped = false;
  EXPECT_FALSE(termination.looked(zombie, 10).result);
  EXPECT_TRUE(termination.looked(none(), 20).result);
}

TEST_F(TerminationTest, KillsTheRestAfterTheGrace) {
  begin(kTermThenKill, {1, 2, 3});
  EXPECT_EQ(termination.looked(alive({2, 3}), 999).look_in_ms, 1u) << "not after the deadline";
  auto effects = termination.looked(alive({2, 3}), 1000);
  EXPECT_EQ(effects.signal, SIGKILL);
  EXPECT_FALSE(effects.then_continue);
  EXPECT_EQ(termination.signalled({2, 3, 4}, true, 0).look_in_ms, 20u);
  effects = termination.looked(none(), 1020);
  ASSERT_TRUE(effects.result);
  EXPECT_EQ(effects.result->receipt.signalled, 3u);
  EXPECT_EQ(effects.result->receipt.exited, 1u);
  EXPECT_EQ(effects.result->receipt.killed, 3u) << "4 was forked during the grace";
}

TEST_F(TerminationTest, KillsAtOnceWithoutGrace) {
  begin({{{SIGTERM, 0}}}, {1});
  EXPECT_EQ(termination.looked(alive({1}), 0).signal, SIGKILL);
}

TEST_F(TerminationTest, KillsAtOnceWhenThePlanBeginsWithKill) {
  EXPECT_EQ(termination.begin({{{SIGKILL, 5000}}}, 0).signal, SIGKILL);
  termination.signalled({1}, true, 0);
  const auto effects = termination.looked(none(), 20);
  ASSERT_TRUE(effects.result);
  EXPECT_EQ(effects.result->receipt.signalled, 1u);
  EXPECT_EQ(effects.result->receipt.exited, 0u);
  EXPECT_EQ(effects.result->receipt.killed, 1u);
}

TEST_F(TerminationTest, TakesEveryStepOfThePlan) {
  begin({{{SIGINT, 100}, {SIGTERM, 200}}}, {1});
  EXPECT_EQ(termination.looked(alive({1}), 100).signal, SIGTERM);
  termination.signalled({1}, true, 0);
  EXPECT_TRUE(termination.looked(alive({1}), 299).look_in_ms);
  EXPECT_EQ(termination.looked(alive({1}), 300).signal, SIGKILL);
}

TEST_F(TerminationTest, LooksLessOftenTheLongerItLasts) {
  begin({{{SIGTERM, 100'000}}}, {1});
  EXPECT_EQ(termination.looked(alive({1}), 100).look_in_ms, 20u);
  EXPECT_EQ(termination.looked(alive({1}), 800).look_in_ms, 100u);
  EXPECT_EQ(termination.looked(alive({1}), 50'000).look_in_ms, 200u);
}

TEST_F(TerminationTest, JoiningShortensTheGraceAndNeverLengthensIt) {
  begin(kTermThenKill, {1});
  EXPECT_FALSE(termination.join({{{SIGTERM, 60'000}}}, 100).look_in_ms);
  EXPECT_EQ(termination.join({{{SIGTERM, 100}}}, 100).look_in_ms, 0u);
  EXPECT_EQ(termination.looked(alive({1}), 199).look_in_ms, 1u);
  EXPECT_EQ(termination.looked(alive({1}), 200).signal, SIGKILL);
}

TEST_F(TerminationTest, JoiningWithKillKillsNow) {
  begin({{{SIGINT, 1000}, {SIGTERM, 1000}}}, {1});
  EXPECT_EQ(termination.join({{{SIGKILL, 9000}}}, 100).look_in_ms, 0u);
  EXPECT_EQ(termination.looked(alive({1}), 100).signal, SIGKILL);
}

TEST_F(TerminationTest, SignalsNobodyWhenProcessesCannotBeLookedAt) {
  termination.begin(kTermThenKill, 0);
  const auto effects = termination.signalled({}, false, EMFILE);
  ASSERT_TRUE(effects.result);
  EXPECT_EQ(effects.result->kind, Kind::kNotSignalled);
  EXPECT_EQ(effects.result->error, EMFILE);
  EXPECT_FALSE(termination.under_way());
}

TEST_F(TerminationTest, DoesNotBelieveAnIncompleteLook) {
  begin(kTermThenKill, {1});
  TreeView view = unseen();
  view.command_reaped = true;
  EXPECT_FALSE(termination.looked(view, 10).result);
}

// The look that finds survivors, and what is told about it.
struct GiveUp {
  const char* name;
  TreeView view;
  int error;
};

class TerminationGiveUpTest : public testing::TestWithParam<GiveUp> {};

TEST_P(TerminationGiveUpTest, TellsSurvivorsAfterRoundsAndTime) {
  Termination termination;
  termination.begin({{{SIGTERM, 0}}}, 0);
  termination.signalled({1}, true, 0);
  std::optional<StopResult> result;
  uint64_t now = 0;
  int rounds = 0;
  for (; !result && now < 20'000; now += 20) {
    const auto effects = termination.looked(GetParam().view, now);
    result = effects.result;
    if (result) break;
    EXPECT_EQ(effects.signal, SIGKILL);
    termination.signalled({1}, true, 0);
    ++rounds;
  }
  ASSERT_TRUE(result);
  EXPECT_EQ(result->kind, Kind::kIncomplete);
  EXPECT_EQ(result->receipt.survivors, GetParam().view.alive);
  EXPECT_EQ(result->error, GetParam().error);
  EXPECT_GE(now, 3000u);
  EXPECT_GE(rounds, 25);
}

INSTANTIATE_TEST_SUITE_P(Views, TerminationGiveUpTest,
                         testing::Values(GiveUp{"Unkillable", alive({1}), 0},
                                         GiveUp{"Unseen", unseen({1}), EMFILE},
                                         GiveUp{"NothingSeen", unseen(), EMFILE}),
                         [](const auto& test) { return test.param.name; });

TEST_F(TerminationTest, GivesUpAfterTheMostTimeWithFewRounds) {
  begin({{{SIGTERM, 0}}}, {1});
  EXPECT_EQ(termination.looked(alive({1}), 0).signal, SIGKILL);
  EXPECT_EQ(termination.looked(alive({1}), 7'999).signal, SIGKILL)
      << "a starved machine: only two rounds yet";
  EXPECT_TRUE(termination.looked(alive({1}), 8'000).result);
}

TEST_F(TerminationTest, BeginsAnewAfterAnEnd) {
  begin(kTermThenKill, {1});
  termination.looked(none(), 10);
  EXPECT_EQ(termination.begin(kTermThenKill, 5000).signal, SIGTERM);
  termination.signalled({7}, true, 0);
  const auto effects = termination.looked(none(), 5001);
  ASSERT_TRUE(effects.result);
  EXPECT_EQ(effects.result->receipt.signalled, 1u);
}

TEST_F(TerminationTest, IgnoresReportsWhenIdle) {
  EXPECT_FALSE(termination.looked(alive({1}), 5).result);
  EXPECT_EQ(termination.looked(alive({1}), 5).signal, 0);
  EXPECT_FALSE(termination.signalled({1}, true, 0).look_in_ms);
}

TEST(StopPlanTest, TakesWhatIsMissingFromTheTaskThenFromTheDefault) {
  wire::LaunchSpec spec;
  StopPlan plan = stop_plan(spec, kDeleteGrace);
  ASSERT_EQ(plan.steps.size(), 1u);
  EXPECT_EQ(plan.steps[0].signal, SIGTERM);
  EXPECT_EQ(plan.steps[0].wait_ms, 3000u);
  spec.stop_signal = SIGINT;
  spec.stop_grace = 0.5;
  plan = stop_plan(spec, kDeleteGrace);
  EXPECT_EQ(plan.steps[0].signal, SIGINT);
  EXPECT_EQ(plan.steps[0].wait_ms, 500u);
  plan = stop_plan(spec, kStopGrace, 2.0, SIGHUP);
  EXPECT_EQ(plan.steps[0].signal, SIGHUP);
  EXPECT_EQ(plan.steps[0].wait_ms, 2000u);
}

}  // namespace
}  // namespace bgtask::supervisor
