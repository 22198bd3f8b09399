// Gigabytes of unread output: exact offsets, exact loss, an exact tail, and no growth of memory.
#include <sys/stat.h>

#include <numeric>

#include "tests/e2e/pattern.h"
#include "tests/faults/fault_test.h"

namespace bgtask::faults {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;
constexpr int64_t kSlackKib = 1024;
constexpr int64_t kIndexKib = 1540;  // of three rings of a mebibyte: its pages are taken as it fills

class OutputVolume : public FaultTest, public testing::WithParamInterface<Rings> {
 protected:
  /// Space that a task's files take, and would take if full.
  struct Space {
    uint64_t taken = 0, bound = 0;
  };
  Space space_of(const Task& task) const {
    Space space;
    for (const std::string& name : e2e::names_in(directory_of(task))) {
      struct stat info {};
      if (::lstat((directory_of(task) / name).c_str(), &info) != 0) continue;
      space.taken += static_cast<uint64_t>(info.st_blocks) * 512;
      space.bound += static_cast<uint64_t>(info.st_size) + 4096;
    }
    return space;
  }
};

TEST_P(OutputVolume, G2_G3_ThatNobodyReadsTakesNoMoreThanItsRing) {
  constexpr uint64_t kFirst = 8 * kMiB, kCapacity = kMiB;
  // Odd, and in the nightly tier more than 2^32.
  const uint64_t rest = scaled<uint64_t>(128 * kMiB + 12'345, 4096 * kMiB + 12'345);
  const std::string pattern = std::string(AWKWARD_PROGRAM) + " pattern ";
  Task task = shell(
      pattern + std::to_string(kFirst) + "; read go; " + pattern + std::to_string(rest) + "; read go; exit 3",
      {.buffer = kCapacity, .rings = GetParam()});
  ASSERT_TRUE(wait_limit(task, "stdout", kFirst));
  const int64_t resident = settled_footprint_of(task.pid()).resident_kib;
  const int64_t peak = e2e::process_number(task.pid(), "VmHWM");

  task.stream("stdin").write_all("go\n");
  const uint64_t limit = kFirst + rest, start = limit - kCapacity;
  ASSERT_TRUE(eventually([&] { return task.stream("stdout").limit() == limit; }, Milliseconds(120'000)));
  EXPECT_LE(settled_footprint_of(task.pid()).resident_kib, resident + kIndexKib + kSlackKib);
  EXPECT_LE(e2e::process_number(task.pid(), "VmHWM"), peak + kIndexKib + kSlackKib);
  EXPECT_LE(space_of(task).taken, space_of(task).bound);
  EXPECT_LE(space_of(task).bound, 5 * kMiB) << "three rings and their index";

  const Json info = task.stream("stdout").info();
  EXPECT_EQ(info["limit"], limit);
  EXPECT_EQ(info["start"], start);
  EXPECT_EQ(info["consumed"], start);
  EXPECT_EQ(info["lost"], start);
  EXPECT_EQ(info["capacity"], kCapacity);
  EXPECT_EQ(info["eof"], false);
  EXPECT_EQ(info["error"], nullptr);
  const Output output = task.output({.max_bytes = 2 * kCapacity});
  const uint64_t given =
      std::accumulate(output.chunks.begin(), output.chunks.end(), uint64_t{0},
                      [](uint64_t sum, const OutputChunk& chunk) { return sum + chunk.data.size(); });
  EXPECT_EQ(output.lost.out + given, limit) << "every byte is readable or counted";
  const ReadResult tail = task.stream("stdout").peek(0);
  EXPECT_EQ(tail.missed, start);
  EXPECT_EQ(tail.offset, start);
  EXPECT_TRUE(tail.data == e2e::pattern(rest - kCapacity, kCapacity));

  task.stream("stdin").write_all("go\n");
  EXPECT_EQ(wait_exit(task)["exit_code"], 3);
  const ReadResult taken = task.stream("stdout").read();
  EXPECT_TRUE(taken.data == tail.data);
  EXPECT_EQ(taken.lost, start);
  EXPECT_EQ(taken.consumed, limit);
  EXPECT_TRUE(taken.eof);
}

INSTANTIATE_TEST_SUITE_P(Rings, OutputVolume, testing::Values(Rings::kFile, Rings::kMemory),
                         [](const auto& test) { return test.param == Rings::kFile ? "file" : "memory"; });

}  // namespace
}  // namespace bgtask::faults
