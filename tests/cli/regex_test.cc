#include "cli/regex.h"

#include <gtest/gtest.h>

#include "cli/usage_error.h"

namespace bgtask::cli {
namespace {

TEST(Regex, MatchesByTable) {
  const struct {
    const char* expression;
    std::string text;
    bool matches;
  } kTable[] = {
      {"^a.c$", "abc\n", true},
      {"^b", "abc\n", false},
      {"c$", "abc\n", true},
      {"^$", "\n", true},
      {"3|4", "line 4\n", true},
      {"a{2,3}b", "caab", true},
      {"[[:digit:]]+", "x7", true},
      {"\\d\\b", "x7 ", true},
      {"^second$", "first\nsecond\nthird\n", true},
      {"a.b", "a\nb", false},
      // Characters, not bytes.
      {"^.{3}$", "äöü\n", true},
      {"^[äö]+$", "öäö", true},
      {"^[^ä]$", "ö", true},
      {"ä?$", "x", true},
      // Bytes that are no UTF-8, and NUL, are in nobody's way.
      {"x|y", std::string("\0\xff y", 4), true},
      {"^.$", "\xff", false},
      {"b\xff", "ab\xff\n", true},
      {"ERROR", "error\n", false},
  };
  for (const auto& row : kTable)
    EXPECT_EQ(Regex(row.expression).matches(row.text), row.matches) << row.expression << " on " << row.text;
}

TEST(Regex, CaseIsIgnoredOfAllLetters) {
  EXPECT_TRUE(Regex("error", Regex::Case::kIgnored).matches("an ERROR\n"));
  EXPECT_TRUE(Regex("ÄRGER", Regex::Case::kIgnored).matches("ärger"));
}

TEST(Regex, SaysWhatIsWrong) {
  for (const char* bad : {"(", "[a", "a**", "\\1", "x{2000}"})
    EXPECT_THROW(Regex{bad}, UsageError) << bad;
}

// A matcher that tries one way after the other takes ages for this.
TEST(Regex, TakesNoLongerForAHardExpression) {
  EXPECT_FALSE(Regex("(a*)*(a|aa)+$").matches(std::string(50'000, 'a') + "b"));
}

}  // namespace
}  // namespace bgtask::cli
