// TaskPool::start_once: one task of a name, whoever else asks for it at the same time.
#include <set>
#include <thread>

#include "tests/e2e/fixture.h"

namespace bgtask::e2e {
namespace {

class StartOnceTest : public E2eTest {
 protected:
  SpawnOptions named(const Json& name, std::vector<std::string> words = {"sleep"}) const {
    return {.exec = awkward_command(words), .meta = {{"name", name}}};
  }
};

TEST_F(StartOnceTest, AttachGivesTheNewestOfThatName) {
  const StartedOnce first = pool().start_once(named("db"), IfExists::kAttach);
  EXPECT_TRUE(first.started);
  const StartedOnce again = pool().start_once(named("db"), IfExists::kAttach);
  EXPECT_FALSE(again.started);
  EXPECT_FALSE(again.restarted);
  EXPECT_EQ(again.task.pid(), first.task.pid());
  EXPECT_TRUE(pool().start_once(named("other"), IfExists::kAttach).started);
  Task newer = spawn(named("db"));
  EXPECT_EQ(pool().start_once(named("db"), IfExists::kAttach).task.pid(), newer.pid());
}

TEST_F(StartOnceTest, FailThrowsExists) {
  EXPECT_TRUE(pool().start_once(named("db"), IfExists::kFail).started);
  EXPECT_EQ(error_of([&] { pool().start_once(named("db"), IfExists::kFail); }).code(), "exists");
  EXPECT_EQ(pool().search(Json::object()).size(), 1u);
}

TEST_F(StartOnceTest, ReplaceDeletesThemAllFirst) {
  Task one = spawn(named("db"));
  Task two = spawn(named("db"));
  const StartedOnce once = pool().start_once(named("db"), IfExists::kReplace);
  EXPECT_TRUE(once.started);
  const auto left = pool().search(Json::object());
  ASSERT_EQ(left.size(), 1u);
  EXPECT_EQ(left[0].pid(), once.task.pid());
}

TEST_F(StartOnceTest, RestartRunsAnEndedCommandAgain) {
  StartedOnce once = pool().start_once(named("job", {"exit", "0"}), IfExists::kRestart);
  EXPECT_TRUE(once.started);
  wait_exit(once.task);
  const StartedOnce again = pool().start_once(named("job", {"exit", "0"}), IfExists::kRestart);
  EXPECT_FALSE(again.started);
  EXPECT_TRUE(again.restarted);
  EXPECT_EQ(again.task.pid(), once.task.pid());
  pool().start_once(named("long"), IfExists::kRestart);
  EXPECT_FALSE(pool().start_once(named("long"), IfExists::kRestart).restarted) << "it runs";
}

TEST_F(StartOnceTest, NamesAreComparedAsTheyAre) {
  EXPECT_EQ(
      error_of([&] { pool().start_once({.exec = awkward_command({"sleep"})}, IfExists::kAttach); }).code(),
      "bad_argument");
  EXPECT_EQ(error_of([&] { pool().start_once(named(""), IfExists::kAttach); }).code(), "bad_argument");
  for (const Json& name : {Json("\xff"), Json("ü"), Json(5)}) {
    EXPECT_TRUE(pool().start_once(named(name), IfExists::kAttach).started);
    EXPECT_FALSE(pool().start_once(named(name), IfExists::kAttach).started);
  }
}

TEST_F(StartOnceTest, OfSeveralCallersOneStarts) {
  constexpr std::size_t kCallers = 6;
  std::vector<pid_t> pids(kCallers);
  std::vector<std::thread> callers;
  for (pid_t& pid : pids)
    callers.emplace_back([&] { pid = pool().start_once(named("db"), IfExists::kAttach).task.pid(); });
  for (std::thread& caller : callers)
    caller.join();
  EXPECT_EQ(std::set<pid_t>(pids.begin(), pids.end()).size(), 1u);
  EXPECT_EQ(pool().search(Json::object()).size(), 1u);
}

}  // namespace
}  // namespace bgtask::e2e
