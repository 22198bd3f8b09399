// Trees of hundreds of daemons: signals, deletes and the supervisor's death.
#include <csignal>
#include <fstream>

#include "tests/faults/life_fixture.h"

namespace bgtask::faults {
namespace {

using Clock = std::chrono::steady_clock;

constexpr Milliseconds kSoon{1'000};  // what G7 promises
constexpr Milliseconds kLatest{10'000};
// Other load on the machine may spoil a measurement, but not most of them.
constexpr int kTries = 5, kEnough = 3;

class LifeOfTree : public LifeTest {
 protected:
  /// A command that double-forks `count` session leaders and then sleeps.
  static std::string daemons(int count) {
    return "i=0; while [ $i -lt " + std::to_string(count) +
           " ]; do (setsid sleep 1000 &); i=$((i+1)); done; echo made; exec sleep 1000";
  }
  std::vector<pid_t> session_leaders() const {
    std::vector<pid_t> leaders;
    for (pid_t pid : own_processes()) {
      if (::getsid(pid) == pid && e2e::read_whole("/proc/" + std::to_string(pid) + "/comm") == "sleep\n")
        leaders.push_back(pid);
    }
    return leaders;
  }
};

TEST_F(LifeOfTree, G6_G4_TwoHundredDaemonsAreKilledAsOneTree) {
  constexpr int kCount = 200;
  int in_time = 0;
  for (int attempt = 0; attempt < kTries && in_time < kEnough; ++attempt) {
    const auto began = Clock::now();
    Task task = shell(daemons(kCount));
    ASSERT_TRUE(eventually([&] { return session_leaders().size() == kCount + 1; }));
    const auto made = Clock::now();
    EXPECT_EQ(task.kill("KILL", Scope::kTree), kCount + 1u);
    EXPECT_TRUE(eventually([&] { return session_leaders().empty(); }, kLatest))
        << session_leaders().size() << " daemons live on";
    const auto took = Clock::now() - made;
    in_time += took < kSoon && took < made - began;
    const Json status = wait_exit(task);
    EXPECT_EQ(status["signal"], "KILL");
    EXPECT_TRUE(eventually([&] { return task.info(true)["descendants"] == 0; }));
    EXPECT_TRUE(eventually([] { return zombies_of_supervisors().empty(); }));
    const RemoveReceipt receipt = task.remove();
    EXPECT_EQ(receipt.signalled, 0u);
    expect_only_bystander();
    if (HasFailure()) break;
  }
  EXPECT_EQ(in_time, kEnough) << "ending a process takes longer than making it, or than a second";
}

TEST_F(LifeOfTree, G6_DeletingTwoHundredDaemonsLeavesNone) {
  constexpr int kCount = 200;
  Task task = shell(daemons(kCount));
  ASSERT_TRUE(eventually([&] { return session_leaders().size() == kCount + 1; }));
  // None of them resists; how soon two hundred have ended depends on the machine.
  const RemoveReceipt receipt = task.remove({.grace = e2e::kNoHurry});
  EXPECT_EQ(receipt.signalled, kCount + 1u);
  EXPECT_EQ(receipt.exited, kCount + 1u);
  EXPECT_EQ(receipt.killed, 0u);
  EXPECT_EQ(session_leaders(), std::vector<pid_t>());
  expect_only_bystander();
}

TEST_F(LifeOfTree, G7_PolicyKillLeavesNoDaemonEither) {
  constexpr int kCount = 50;
  int in_time = 0;
  for (int attempt = 0; attempt < kTries && in_time < kEnough; ++attempt) {
    Task task = shell(daemons(kCount), {.on_supervisor_death = OnSupervisorDeath::kKill});
    ASSERT_TRUE(eventually([&] { return session_leaders().size() == kCount + 1; }));
    ASSERT_NO_FATAL_FAILURE(end_supervisor(task.pid()));
    const auto died = Clock::now();
    EXPECT_TRUE(eventually([&] { return session_leaders().empty(); }, kLatest));
    in_time += Clock::now() - died < kSoon;
    EXPECT_EQ(task.snapshot()["status"]["state"], "lost");
    EXPECT_EQ(task.snapshot()["status"]["running"], false);
    EXPECT_TRUE(eventually([&] { return pool().gc() == std::vector<pid_t>{task.pid()}; }));
    expect_only_bystander();
    if (HasFailure()) break;
  }
  EXPECT_EQ(in_time, kEnough) << "no process is left after a second";
}

TEST_F(LifeOfTree, G7_PolicyKillHoldsWhereverTheSupervisorDiesAfterItsStart) {
  // The first clone makes the supervisor below its guard, the second the child.
  for (const char* call : {"clone", "pidfd_open", "sendto", "epoll_wait"}) {
    SCOPED_TRACE(call);
    std::optional<Task> task;
    const std::string word = word_of([&] {
      task =
          traced({"-f", "-e", std::string("inject=") + call + ":signal=KILL:when=1"})
              .spawn({.exec = awkward_command({"sleep"}), .on_supervisor_death = OnSupervisorDeath::kKill});
    });
    EXPECT_TRUE(word.empty() || word == "lost") << word;
    EXPECT_TRUE(eventually([&] { return other_processes().size() == 2; }))
        << testing::PrintToString(other_processes());
    pool().gc();
    expect_only_bystander();
  }
}

TEST_F(LifeOfTree, G7_PolicyKeepLeavesEveryProcessAndAdoptionFindsThem) {
  constexpr int kCount = 20;
  Task task = shell(daemons(kCount));
  ASSERT_TRUE(eventually([&] { return session_leaders().size() == kCount + 1; }));
  const std::vector<pid_t> leaders = session_leaders();
  ASSERT_NO_FATAL_FAILURE(end_supervisor(task.pid()));
  EXPECT_EQ(task.snapshot()["status"]["state"], "lost");
  EXPECT_EQ(task.snapshot()["status"]["running"], true);
  EXPECT_TRUE(pool().gc().empty());
  EXPECT_EQ(session_leaders(), leaders);
  Task adopted = pool().adopt(task.pid());
  EXPECT_EQ(adopted.info(true)["descendants"], kCount);
  const RemoveReceipt receipt = adopted.remove();
  EXPECT_EQ(receipt.signalled, kCount + 1u);
  expect_only_bystander();
}

}  // namespace
}  // namespace bgtask::faults
