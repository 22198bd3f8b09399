#include "supervisor/task/lifecycle.h"

#include <gtest/gtest.h>

namespace bgtask::supervisor {
namespace {

Outcome exit_with(int code) {
  return Outcome{code, 0, false, ""};
}

TEST(Lifecycle, BeforeTheStartNothingHappens) {
  Lifecycle life;
  EXPECT_EQ(life.state(), State::kStarting);
  EXPECT_FALSE(life.stopped());
  EXPECT_FALSE(life.continued());
  EXPECT_FALSE(life.ended(exit_with(0), 1));
  EXPECT_EQ(life.runs(), 0u);
  EXPECT_FALSE(life.child());
}

TEST(Lifecycle, ARunFromStartToEnd) {
  Lifecycle life;
  EXPECT_TRUE(life.started(42, 10));
  EXPECT_EQ(life.child(), 42);
  EXPECT_EQ(life.status().state, taskdir::State::kRunning);
  EXPECT_FALSE(life.ended_at());
  EXPECT_TRUE(life.ended(exit_with(3), 20));
  EXPECT_FALSE(life.child());
  EXPECT_EQ(life.ended_at(), 20.0);
  taskdir::RunStatus expected;
  expected.state = taskdir::State::kExited;
  expected.running = false;
  expected.exit_code = 3;
  EXPECT_EQ(life.status(), expected);
}

TEST(Lifecycle, PausedStillRuns) {
  Lifecycle life;
  life.started(42, 10);
  EXPECT_TRUE(life.stopped());
  EXPECT_FALSE(life.stopped()) << "reports may come twice";
  EXPECT_EQ(life.status().state, taskdir::State::kPaused);
  EXPECT_EQ(life.status().running, true);
  EXPECT_TRUE(life.status().paused);
  EXPECT_TRUE(life.continued());
  EXPECT_FALSE(life.continued());
}

TEST(Lifecycle, APausedTaskCanEnd) {
  Lifecycle life;
  life.started(42, 10);
  life.stopped();
  EXPECT_TRUE(life.ended(Outcome{{}, 15, false, ""}, 11));
  EXPECT_FALSE(life.status().paused);
  EXPECT_EQ(life.status().signal, 15);
  EXPECT_FALSE(life.status().exit_code);
}

TEST(Lifecycle, LateReportsAfterTheEndChangeNothing) {
  Lifecycle life;
  life.started(42, 10);
  life.ended(exit_with(0), 11);
  const taskdir::RunStatus before = life.status();
  EXPECT_FALSE(life.stopped());
  EXPECT_FALSE(life.continued());
  EXPECT_FALSE(life.ended(exit_with(9), 12));
  EXPECT_EQ(life.status(), before);
}

TEST(Lifecycle, RestartCountsRunsAndForgetsTheOutcome) {
  Lifecycle life;
  life.started(42, 10);
  EXPECT_FALSE(life.started(43, 10)) << "it runs";
  life.ended(exit_with(3), 11);
  EXPECT_TRUE(life.started(44, 12));
  EXPECT_EQ(life.runs(), 2u);
  EXPECT_EQ(life.started_at(), 12);
  EXPECT_FALSE(life.status().exit_code);
}

TEST(LifecycleTest, RequestedEndGivesTheReason) {
  struct Case {
    const char* requested;
    Outcome outcome;
    const char* reason;
  };
  const Case cases[] = {
      {"stopped", Outcome{{}, 15, false, ""}, "stopped"},
      {"timeout", Outcome{0, 0, false, ""}, "timeout"},
      {"stopped", Outcome{{}, 9, false, "out_of_memory"}, "out_of_memory"},
      {"stopped", Outcome{{}, 0, false, "unknown"}, "stopped"},
  };
  for (const Case& c : cases) {
    Lifecycle life;
    life.started(42, 10);
    life.end_requested(c.requested);
    EXPECT_TRUE(life.status().reason.empty()) << "it runs";
    life.reaped();
    life.end_requested("too late");
    life.ended(c.outcome, 11);
    EXPECT_EQ(life.status().reason, c.reason);
    life.started(43, 12);
    life.ended(exit_with(1), 13);
    EXPECT_TRUE(life.status().reason.empty()) << "a request counts for its run only";
  }
}

TEST(LifecycleTest, OfSeveralRequestsTheFirstGivesTheReason) {
  Lifecycle life;
  life.started(42, 10);
  life.end_requested("timeout");
  life.end_requested("stopped");
  life.ended(exit_with(0), 11);
  EXPECT_EQ(life.status().reason, "timeout");
}

TEST(Lifecycle, WaitStatuses) {
  EXPECT_EQ(outcome_of_wait_status(3 << 8), exit_with(3));
  EXPECT_EQ(outcome_of_wait_status(9), (Outcome{{}, 9, false, ""}));
  EXPECT_EQ(outcome_of_wait_status(11 | 0x80), (Outcome{{}, 11, true, ""}));
}

TEST(Lifecycle, ResumedFromWhatWasPublished) {
  Lifecycle life;
  life.started(42, 10);
  life.stopped();
  taskdir::StatusDocument info;
  info.started_at = 10;
  info.status = life.status();
  Lifecycle again = Lifecycle::resumed(info, 42);
  EXPECT_EQ(again.state(), State::kPaused);
  EXPECT_EQ(again.child(), 42);
  life.ended(Outcome{{}, 6, true, ""}, 30);
  info.status = life.status();
  info.ended_at = life.ended_at();
  again = Lifecycle::resumed(info, std::nullopt);
  EXPECT_EQ(again.status(), life.status());
  EXPECT_EQ(again.ended_at(), 30.0);
}

}  // namespace
}  // namespace bgtask::supervisor
