#include "cli/points_in_time.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <optional>
#include <string>

#include "cli/sizes_and_times.h"
#include "cli/usage_error.h"

namespace bgtask::cli {
namespace {

// Central European time by its rule, which needs no zone database: clocks go forward on 2024-03-31 at 02:00
// and back on 2024-10-27 at 03:00.
class PointsInTime : public testing::Test {
 protected:
  PointsInTime() {
    if (const char* zone = std::getenv("TZ")) before_ = zone;
    ::setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
    ::tzset();
  }
  ~PointsInTime() override {
    before_ ? ::setenv("TZ", before_->c_str(), 1) : ::unsetenv("TZ");
    ::tzset();
  }
  static double at(const std::string& text, double now) { return parse_time(text, now, local_zone()); }
  static double utc(const std::string& text) { return parse_time(text, 0); }

 private:
  std::optional<std::string> before_;
};

TEST_F(PointsInTime, AreReadInEveryForm) {
  const double now = utc("2024-05-15T10:20:30.25Z");  // 12:20:30.25 in summer time
  const struct {
    const char* text;
    const char* meant;
  } kTable[] = {
      {"now", "2024-05-15T10:20:30.25Z"},
      {"14:00", "2024-05-15T12:00:00Z"},
      {"09:30:15.5", "2024-05-15T07:30:15.5Z"},
      {"today", "2024-05-14T22:00:00Z"},
      {"today 09:30", "2024-05-15T07:30:00Z"},
      {"yesterday", "2024-05-13T22:00:00Z"},
      {"yesterday 23:59", "2024-05-14T21:59:00Z"},
      {"tomorrow 00:00", "2024-05-15T22:00:00Z"},
      {"10m", "2024-05-15T10:10:30.25Z"},
      {"10m ago", "2024-05-15T10:10:30.25Z"},
      {"-10m", "2024-05-15T10:10:30.25Z"},
      {"-30", "2024-05-15T10:20:00.25Z"},
      {"+1h", "2024-05-15T11:20:30.25Z"},
      {"1 hour ago", "2024-05-15T09:20:30.25Z"},
      {"1 hour 30 minutes ago", "2024-05-15T08:50:30.25Z"},
      {"1h30m ago", "2024-05-15T08:50:30.25Z"},
      {"2 days ago", "2024-05-13T10:20:30.25Z"},
      {"2024-05-01", "2024-04-30T22:00:00Z"},
      {"2024-05-01 12:00", "2024-05-01T10:00:00Z"},
      {"2024-05-01T12:00:00.5+02:00", "2024-05-01T10:00:00.5Z"},
      {"2024-01-01 12:00", "2024-01-01T11:00:00Z"},
      {"2024-02-29T00:00Z", "2024-02-29T00:00:00Z"},
  };
  for (const auto& row : kTable)
    EXPECT_NEAR(at(row.text, now), utc(row.meant), 1e-6) << row.text;
  EXPECT_DOUBLE_EQ(at("1700000000.25", now), 1700000000.25);
  EXPECT_DOUBLE_EQ(at("@1700000000", now), 1700000000);
}

TEST_F(PointsInTime, AreRefusedWhenTheyAreNone) {
  for (const char* text : {"",
                           " ",
                           "@",
                           "-",
                           "+",
                           "ago",
                           " ago",
                           "hour ago",
                           "-1h ago",
                           "24:00",
                           "14:60",
                           "1:00",
                           "14:00 ",
                           "today 25:00",
                           "today09:30",
                           "todays",
                           "yesterday ",
                           "yesterday yesterday",
                           "2023-13-01",
                           "2023-02-29",
                           "2023-04-31",
                           "2023-11-14T25:00Z",
                           "2023-11-14T22:13:20X",
                           "2023-11-14T22:13:20.Z",
                           "10x",
                           "1.2.3",
                           "inf",
                           "nan",
                           "--1h",
                           "+-1h"}) {
    EXPECT_THROW(at(text, 1'700'000'000), UsageError) << text;
  }
}

// A day has 23 hours when clocks go forward, 25 when they go back; a length of time is what it says.
TEST_F(PointsInTime, DaysFollowTheClocksAndLengthsDoNot) {
  const double spring = utc("2024-03-31T10:00:00Z");  // 12:00, after the change
  EXPECT_EQ(at("today", spring), utc("2024-03-30T23:00:00Z"));
  EXPECT_EQ(at("today 04:00", spring), utc("2024-03-31T02:00:00Z"));
  EXPECT_EQ(at("yesterday 12:00", spring), utc("2024-03-30T11:00:00Z"));
  EXPECT_EQ(at("1 day ago", spring), utc("2024-03-30T10:00:00Z"));
  const double skipped = at("today 02:30", spring);
  EXPECT_TRUE(skipped == utc("2024-03-31T01:30:00Z") || skipped == utc("2024-03-31T00:30:00Z")) << skipped;
  const double autumn = utc("2024-10-27T11:00:00Z");  // 12:00, after the change
  EXPECT_EQ(at("today", autumn), utc("2024-10-26T22:00:00Z"));
  EXPECT_EQ(at("tomorrow", autumn), utc("2024-10-27T23:00:00Z"));
  EXPECT_EQ(at("yesterday 12:00", autumn), utc("2024-10-26T10:00:00Z"));
  const double new_year = utc("2024-01-01T11:00:00Z");
  EXPECT_EQ(at("yesterday", new_year), utc("2023-12-30T23:00:00Z"));
}

TEST_F(PointsInTime, ThatWereWrittenAreReadBack) {
  for (const double time : {1700000000.125, 1711846800.0, 1729990800.0})
    EXPECT_NEAR(parse_time(local_time(time), 0), time, 0.0005);
}

}  // namespace
}  // namespace bgtask::cli
