#include "cli/escaping.h"

#include <gtest/gtest.h>

namespace bgtask::cli {
namespace {

TEST(Escaping, LeavesOrdinaryTextAlone) {
  EXPECT_EQ(escaped("grün 漢字 \\ 'x'"), "grün 漢字 \\ 'x'");
}

TEST(Escaping, MakesWhatIsHarmfulVisible) {
  EXPECT_EQ(escaped("a\nb\tc\rd"), "a\\nb\\tc\\rd");
  EXPECT_EQ(escaped("\x1b]0;title\x07"), "\\e]0;title\\x07");
  EXPECT_EQ(escaped("\x7f"), "\\x7f");
  EXPECT_EQ(escaped("\xc2\x9b"
                    "31m"),
            "\\u{9b}31m")
      << "a C1 control";
  EXPECT_EQ(escaped("\xe2\x80\xae"
                    "abc"),
            "\\u{202e}abc")
      << "right-to-left override";
  EXPECT_EQ(escaped(std::string("\0", 1)), "\\x00");
}

TEST(Escaping, ShowsBytesThatAreNoUtf8) {
  EXPECT_EQ(escaped("\xff"
                    "a\xc3"),
            "\\xffa\\xc3");
  EXPECT_EQ(escaped("\xed\xa0\x80"), "\\xed\\xa0\\x80") << "a surrogate";
  EXPECT_EQ(escaped("\xc0\xaf"), "\\xc0\\xaf") << "an overlong form";
}

TEST(TerminalFilter, KeepsLinesTabsAndColours) {
  TerminalFilter filter;
  EXPECT_EQ(filter.feed("a\tb\n\x1b[1;31mred\x1b[0m\n"), "a\tb\n\x1b[1;31mred\x1b[0m\n");
  EXPECT_EQ(filter.finish(), "\x1b[0m");
}

TEST(TerminalFilter, ShowsOtherSequences) {
  TerminalFilter filter;
  EXPECT_EQ(filter.feed("\x1b[2J\x1b]0;x\x07\r"), "\\e[2J\\e]0;x\\x07\\r");
  EXPECT_EQ(filter.finish(), "");
}

TEST(TerminalFilter, DoesTheSameHoweverTheTextIsCut) {
  const std::string text = "ä\x1b[31mred\x1b[0m \x1b[2J漢\xff \x1b[";
  TerminalFilter whole;
  std::string expected = whole.feed(text);
  expected += whole.finish();
  TerminalFilter bytewise;
  std::string out;
  for (const char c : text)
    out += bytewise.feed(std::string(1, c));
  EXPECT_EQ(out + bytewise.finish(), expected);
}

}  // namespace
}  // namespace bgtask::cli
