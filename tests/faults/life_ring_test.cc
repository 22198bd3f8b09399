// A supervisor is killed while it writes the rings: their content is consistent, and an adopter continues
// from it.
#include <sched.h>

#include <csignal>
#include <fstream>
#include <random>

#include "tests/e2e/pattern.h"
#include "tests/faults/life_fixture.h"

namespace bgtask::faults {
namespace {

class LifeOfOutput : public LifeTest {
 protected:
  /// Checks that a dead supervisor's ring is consistent in itself and with what the child wrote.
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
    // Bytes that the writer was about to overwrite are not shown but counted: at most a quarter of the ring.
    EXPECT_EQ(all.missed, all.offset - start);
    EXPECT_LE(all.missed, info["capacity"].get<uint64_t>() / 4);
    EXPECT_EQ(all.offset + all.data.size(), limit);
    EXPECT_TRUE(all.data == e2e::pattern(all.offset, all.data.size()))
        << name << " is not what the child wrote";
  }
};

TEST_F(LifeOfOutput, G2_G7_ASupervisorKilledWhileWritingLeavesWhatItWrote) {
  constexpr uint64_t kTotal = 6 << 20;
  const int rounds = scaled(25, 400);
  std::mt19937 random(seed());
  const std::filesystem::path fifo = make_fifo("commands");
  for (int round = 0; round < rounds; ++round) {
    // One ring holds everything; in the other old output is overwritten constantly.
    const uint64_t buffer = round % 2 == 0 ? 256 << 10 : 8 << 20;
    Task task = awkward({"puppet", fifo.string()}, {.buffer = buffer});
    std::ofstream(fifo) << "pattern 0 " << kTotal << "\n" << std::flush;
    pid_t id = task.pid();
    for (const uint64_t moment : {random() % kTotal / 2, kTotal / 2 + random() % (kTotal / 2)}) {
      SCOPED_TRACE("round " + std::to_string(round) + ", killed at byte " + std::to_string(moment));
      const Stream stream = Task(id, pool().path()).stream("stdout");
      while (stream.limit() < moment)
        ::sched_yield();
      ASSERT_NO_FATAL_FAILURE(end_supervisor(id));
      const Task lost(id, pool().path());
      const auto limit = lost.stream("stdout").limit();
      EXPECT_GE(limit, moment);
      expect_consistent(lost, "stdout", kTotal);
      Task adopted = pool().adopt(id);
      EXPECT_GE(adopted.stream("stdout").limit(), limit) << "offsets do not go back";
      id = adopted.pid();
    }
    Task last(id, pool().path());
    SCOPED_TRACE("round " + std::to_string(round));
    EXPECT_TRUE(eventually([&] { return last.stream("stdout").limit() >= kTotal; }))
        << "bytes that are neither readable nor counted: " << last.stream("stdout").limit();
    expect_consistent(last, "stdout", kTotal);
    last.remove({.grace = Seconds(0)});
    if (HasFailure()) break;
  }
  expect_only_bystander();
}

}  // namespace
}  // namespace bgtask::faults
