// Jumps of the wall clock change displayed times only.
#include <algorithm>
#include <chrono>

#include "tests/faults/fault_test.h"

namespace bgtask::faults {
namespace {

constexpr int64_t kDay = 86'400;
constexpr int64_t kJumps[] = {-50 * 365 * kDay, -kDay, kDay, 50 * 365 * kDay};  // before 1980, after 2038

class Clock : public FaultTest {
 protected:
  /// A task that starts before a jump and does everything else after it.
  void control_after_start(int64_t jump) {
    Task task = controlled().spawn({.exec = awkward_command({"puppet"})});
    control().clock_offset = jump;
    EXPECT_EQ(task.pause(), 1u);
    EXPECT_EQ(task.resume(), 1u);
    EXPECT_EQ(task.apply_meta({{"jump", jump}})["jump"], jump);
    task.stream("stdin").write_all("exit 5\n");
    EXPECT_EQ(wait_exit(task)["exit_code"], 5);
    EXPECT_EQ(bgtask({"ls"}).status, 0);
    EXPECT_EQ(bgtask({"info", std::to_string(task.pid())}).status, 0);
    EXPECT_TRUE(task.restart());
    EXPECT_EQ(task.info(true)["runs"], 2);
    EXPECT_EQ(task.remove({.grace = e2e::kNoHurry}).killed, 0u) << "a grace is not cut short";
    control().clock_offset = 0;
  }
};

double seconds_taken(const std::function<void()>& act) {
  const auto begin = std::chrono::steady_clock::now();
  act();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

TEST_F(Clock, G12_ATimeoutLastsAsLongAsItSays) {
  Task task = controlled().spawn({.exec = awkward_command({"sleep"})});
  for (int64_t jump : kJumps) {
    e2e::RawClient client(socket_of(task));
    const double taken = seconds_taken([&] {
      client.request("wait", {{"for", {"exit"}}, {"timeout", 0.5}});
      control().clock_offset = jump;
      const auto reply = client.receive();
      ASSERT_TRUE(reply.has_value());
      EXPECT_EQ((*reply)["result"]["fired"], "timeout");
    });
    EXPECT_GT(taken, 0.3) << "a jump by " << jump << " cut it short";
    control().clock_offset = 0;
  }
  task.remove();
}

TEST_F(Clock, G12_TheOrderOfOutputIsThatOfItsComing) {
  Task task = controlled().spawn({.exec = awkward_command({"puppet"})});
  std::string expected;
  for (int64_t jump : kJumps) {
    control().clock_offset = -jump;  // backwards at every step
    const uint64_t before = task.stream("stdout").limit();
    task.stream("stdin").write_all("out " + std::to_string(jump) + "\n");
    ASSERT_TRUE(eventually([&] { return task.stream("stdout").limit() > before; }));
    expected = task.stream("stdout").peek().data;
  }
  const Output output = task.output();
  std::string merged;
  uint64_t last = 0;
  for (const OutputChunk& chunk : output.chunks) {
    EXPECT_GT(chunk.seq, last);
    last = chunk.seq;
    merged += chunk.data;
  }
  EXPECT_EQ(merged, expected);
  EXPECT_LT(output.chunks.back().time, output.chunks.front().time) << "times are what the clock said";
  task.remove();
}

TEST_F(Clock, G12_EveryPartOfALifeWorksWhileTheClockJumps) {
  for (int64_t jump : kJumps) {
    SCOPED_TRACE(jump);
    control_after_start(jump);
  }
}

TEST_F(Clock, G12_TimesAfter2038AreShownWhole) {
  const TaskPool pool = controlled();
  control().clock_offset = 50 * 365 * kDay;
  Task task = pool.spawn({.exec = {"/bin/true"}});
  task.wait({.timeout = Seconds(30)});
  const Json info = task.info(true);
  EXPECT_GT(info["started_at"].get<double>(), 2'147'483'647.0 * 1.2);
  EXPECT_GE(info["ended_at"].get<double>(), info["started_at"].get<double>());
  EXPECT_EQ(bgtask({"ls"}).status, 0);
  control().clock_offset = 0;
  task.remove();
}

}  // namespace
}  // namespace bgtask::faults
