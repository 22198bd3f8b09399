// A supervisor killed while it writes the rings: what is there is right, and an adopter goes on from it.
#include <time.h>

#include <csignal>
#include <random>

#include "tests/e2e/pattern.h"
#include "tests/faults/life_fixture.h"

namespace bgtask::faults {
namespace {

class LifeOfOutput : public LifeTest {
 protected:
  static void pause_for(unsigned microseconds) {
    const timespec time{0, static_cast<long>(microseconds) * 1'000};
    ::nanosleep(&time, nullptr);
  }
  /// What a ring of a dead supervisor says and holds agrees with itself and with what the child wrote.
  void expect_consistent(const Task& task, const std::string& name, uint64_t total) {
    const Stream stream = task.stream(name);
    const Json info = stream.info();
    const auto start = info["start"].get<uint64_t>();
    const auto consumed = info["consumed"].get<uint64_t>();
    const auto limit = info["limit"].get<uint64_t>();
    EXPECT_LE(start, consumed);
    EXPECT_LE(consumed, limit);
    EXPECT_LE(limit, total);
    EXPECT_EQ(info["lost"], start) << "nobody has consumed anything";
    const ReadResult all = stream.peek(start, limit);
    EXPECT_EQ(all.offset, start);
    EXPECT_EQ(all.data.size(), limit - start);
    EXPECT_TRUE(all.data == e2e::pattern(start, all.data.size())) << name << " is not what the child wrote";
  }
};

TEST_F(LifeOfOutput, G2_G7_ASupervisorKilledWhileWritingLeavesWhatItWrote) {
  constexpr uint64_t kTotal = 6 << 20;
  const int rounds = scaled(25, 400);
  std::mt19937 random(seed());
  int cut = 0;
  for (int round = 0; round < rounds; ++round) {
    const bool drops = round % 2 == 0;
    const uint64_t buffer = drops ? 256 << 10 : 8 << 20;
    Task task = awkward({"pattern", std::to_string(kTotal)}, {.buffer = buffer});
    const int kills = 1 + static_cast<int>(random() % 3);
    pid_t id = task.pid();
    for (int kill = 0; kill < kills; ++kill) {
      const unsigned delay = random() % 3'000;
      SCOPED_TRACE("round " + std::to_string(round) + ", kill " + std::to_string(kill) + " after " +
                   std::to_string(delay) + " us");
      pause_for(delay);
      ASSERT_NO_FATAL_FAILURE(end_supervisor(id));
      const Task lost(id, pool().path());
      const auto limit = lost.stream("stdout").limit();
      cut += limit > 0 && limit < kTotal ? 1 : 0;
      expect_consistent(lost, "stdout", kTotal);
      Task adopted = pool().adopt(id);
      EXPECT_GE(adopted.stream("stdout").limit(), limit) << "offsets do not go back";
      id = adopted.pid();
    }
    Task last(id, pool().path());
    wait_eof(last);
    SCOPED_TRACE("round " + std::to_string(round));
    EXPECT_EQ(last.stream("stdout").limit(), kTotal) << "bytes that are neither readable nor counted";
    expect_consistent(last, "stdout", kTotal);
    last.remove({.grace = Seconds(0)});
    if (HasFailure()) break;
  }
  EXPECT_GT(cut, rounds / 4) << "most supervisors were killed before or after the writing";
  expect_only_bystander();
}

}  // namespace
}  // namespace bgtask::faults
