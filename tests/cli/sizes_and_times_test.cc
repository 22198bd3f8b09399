#include "cli/sizes_and_times.h"

#include <gtest/gtest.h>

#include "cli/usage_error.h"

namespace bgtask::cli {
namespace {

TEST(Sizes, AreReadWithAndWithoutUnits) {
  EXPECT_EQ(parse_size("0"), 0u);
  EXPECT_EQ(parse_size("4096"), 4096u);
  EXPECT_EQ(parse_size("64K"), 65536u);
  EXPECT_EQ(parse_size("64k"), 65536u);
  EXPECT_EQ(parse_size("1M"), 1048576u);
  EXPECT_EQ(parse_size("1MiB"), 1048576u);
  EXPECT_EQ(parse_size("1.5G"), 1610612736u);
  EXPECT_EQ(parse_size("12B"), 12u);
  EXPECT_EQ(parse_size("18446744073709551615"), UINT64_MAX);
}

TEST(Sizes, AreRefusedWhenTheyAreNone) {
  for (const char* text :
       {"", "M", "-1", "1Q", "1 M", "1.5", "0x10", "18446744073709551616", "1e3", "99999999T", "1MM"}) {
    EXPECT_THROW(parse_size(text), UsageError) << text;
  }
}

TEST(Durations, AreReadInUnitsAndSums) {
  EXPECT_DOUBLE_EQ(parse_duration("10"), 10);
  EXPECT_DOUBLE_EQ(parse_duration("0.5"), 0.5);
  EXPECT_DOUBLE_EQ(parse_duration("500ms"), 0.5);
  EXPECT_DOUBLE_EQ(parse_duration("10m"), 600);
  EXPECT_DOUBLE_EQ(parse_duration("1h30m"), 5400);
  EXPECT_DOUBLE_EQ(parse_duration("2d"), 172800);
  EXPECT_DOUBLE_EQ(parse_duration("1 hour 30 minutes"), 5400);
  EXPECT_DOUBLE_EQ(parse_duration("2 days"), 172800);
  for (const char* text :
       {"", "-1", "m", "10x", "inf", "nan", "1h30", "1 ", "1h ", " 1h", "1  h", "1 hour 30", "hour"}) {
    EXPECT_THROW(parse_duration(text), UsageError) << text;
  }
}

TEST(Times, AreRoundedToMilliseconds) {
  EXPECT_EQ(local_time(1700000000.9999).substr(20, 3), "000") << "rounding carries into the seconds";
}

TEST(Times, AreShortForPeople) {
  EXPECT_EQ(short_duration(-5), "0s");
  EXPECT_EQ(short_duration(59.9), "59s");
  EXPECT_EQ(short_duration(61), "1m");
  EXPECT_EQ(short_duration(7200), "2h");
  EXPECT_EQ(short_duration(864000), "10d");
  EXPECT_EQ(short_size(1023), "1023");
  EXPECT_EQ(short_size(1536), "1.5K");
  EXPECT_EQ(short_size(UINT64_MAX), "16.0E");
}

}  // namespace
}  // namespace bgtask::cli
