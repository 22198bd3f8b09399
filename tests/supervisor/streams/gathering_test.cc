#include "supervisor/streams/gathering.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace bgtask::supervisor {
namespace {

constexpr uint64_t kPipe = 1 << 20;

struct WakeUp {
  uint64_t now_ms;
  uint64_t taken;
  bool in_a_row = true;
};

struct Case {
  std::string name;
  std::vector<WakeUp> wake_ups;
  bool gathers;  // after the last of them
};

TEST(GatheringTest, DecidesByTheWakeUpsOfOneMillisecond) {
  const Case cases[] = {
      {"one small piece", {{5, 100}}, false},
      {"one large piece", {{5, 200'000}}, false},
      {"three pieces", {{5, 2000}, {5, 2000}, {5, 2000}}, false},
      {"four pieces", {{5, 2000}, {5, 2000}, {5, 2000}, {5, 2000}}, true},
      {"four pieces of which the first was another millisecond's",
       {{4, 2000}, {5, 2000}, {5, 2000}, {5, 2000}},
       false},
      {"four pieces in spite of an earlier millisecond",
       {{4, 2000}, {5, 2000}, {5, 2000}, {5, 2000}, {5, 2000}},
       true},
      {"another pipe woke the loop in between", {{5, 2000}, {5, 2000}, {5, 2000}, {5, 2000, false}}, false},
      {"four pieces after another pipe's", {{5, 2000, false}, {5, 2000}, {5, 2000}, {5, 2000}}, true},
      {"too few bytes", {{5, 1000}, {5, 1000}, {5, 1000}, {5, 1000}}, false},
      {"just enough bytes", {{5, 1024}, {5, 1024}, {5, 1024}, {5, 1024}}, true},
      {"too few bytes at first, enough with the fifth",
       {{5, 1000}, {5, 1000}, {5, 1000}, {5, 1000}, {5, 1000}},
       true},
      {"so many bytes that a millisecond's would fill the pipe",
       {{5, 65'536}, {5, 65'536}, {5, 65'536}, {5, 65'536}},
       false},
      {"empty wake-ups", {{5, 0}, {5, 0}, {5, 0}, {5, 0}, {5, 0}}, false},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    Gathering gathering;
    bool gathers = false;
    for (const WakeUp& wake_up : c.wake_ups) {
      EXPECT_FALSE(gathers);
      gathers = gathering.after_wake_up(wake_up.taken, wake_up.in_a_row, wake_up.now_ms);
    }
    EXPECT_EQ(gathers, c.gathers);
  }
}

TEST(GatheringTest, GoesOnWhileTheMillisecondWasWorthIt) {
  Gathering gathering;
  EXPECT_FALSE(gathering.after_gathering(0, kPipe, 10));
  EXPECT_FALSE(gathering.after_gathering(4095, kPipe, 10));
  EXPECT_TRUE(gathering.after_gathering(4096, kPipe, 10));
  EXPECT_TRUE(gathering.after_gathering(kPipe / 16 * 15, kPipe, 10));
  EXPECT_FALSE(gathering.after_gathering(kPipe / 16 * 15 + 1, kPipe, 10));
}

TEST(GatheringTest, PausesAfterThePipeWasFull) {
  const auto four_pieces = [](Gathering& gathering, uint64_t now_ms) {
    bool gathers = false;
    for (int i = 0; i < 4; ++i)
      gathers = gathering.after_wake_up(2000, true, now_ms);
    return gathers;
  };
  Gathering gathering;
  EXPECT_TRUE(four_pieces(gathering, 10));
  EXPECT_FALSE(gathering.after_gathering(kPipe, kPipe, 11));
  EXPECT_FALSE(four_pieces(gathering, 30));
  EXPECT_TRUE(four_pieces(gathering, 31));
}

TEST(GatheringTest, APipeThatCouldNotBeGrownIsFullSooner) {
  Gathering gathering;
  EXPECT_TRUE(gathering.after_gathering(60'000, 65'536, 10));
  EXPECT_FALSE(gathering.after_gathering(61'441, 65'536, 10));
}

}  // namespace
}  // namespace bgtask::supervisor
