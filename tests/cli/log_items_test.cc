#include "cli/log_items.h"

#include <gtest/gtest.h>

namespace bgtask::cli {
namespace {

std::vector<std::string> texts(const std::vector<LogItem>& items) {
  std::vector<std::string> all;
  for (const auto& item : items)
    all.push_back(item.stream + ":" + item.text);
  return all;
}

using Texts = std::vector<std::string>;

TEST(LineSplitter, PutsLinesTogetherForEachStream) {
  LineSplitter splitter;
  EXPECT_EQ(texts(splitter.feed({1, 10, "stdout", 0, "one\ntw"})), Texts{"stdout:one\n"});
  EXPECT_EQ(texts(splitter.feed({2, 11, "stderr", 0, "bad\n"})), Texts{"stderr:bad\n"});
  EXPECT_EQ(splitter.unfinished(), 1u);
  const auto rest = splitter.feed({3, 12, "stdout", 6, "o\nthree"});
  EXPECT_EQ(texts(rest), Texts{"stdout:two\n"});
  EXPECT_EQ(rest[0].time, 10) << "a line's time is that of its first byte";
  EXPECT_EQ(rest[0].offset, 4u);
  EXPECT_EQ(texts(splitter.finish()), Texts{"stdout:three"});
  EXPECT_EQ(splitter.unfinished(), 0u);
}

TEST(LineSplitter, TakesADataMessageForALine) {
  LineSplitter splitter;
  EXPECT_EQ(texts(splitter.feed({1, 1, "data", 0, ""})), Texts{"data:\n"});
  EXPECT_EQ(texts(splitter.feed({2, 1, "data", 1, "a\nb"})), Texts{"data:a\nb\n"});
}

TEST(LineSplitter, GivesALineWithoutEndOutInPieces) {
  LineSplitter splitter;
  const std::string half(LineSplitter::kLongestLine / 2, 'x');
  EXPECT_TRUE(splitter.feed({1, 1, "stdout", 0, half}).empty());
  const auto piece = splitter.feed({2, 1, "stdout", half.size(), half});
  ASSERT_EQ(piece.size(), 1u);
  EXPECT_TRUE(piece[0].begins);
  EXPECT_EQ(splitter.unfinished(), 0u);
  const auto end = splitter.feed({3, 1, "stdout", 2 * half.size(), "end\n"});
  ASSERT_EQ(end.size(), 1u);
  EXPECT_FALSE(end[0].begins);
  EXPECT_EQ(end[0].text, "end\n");
}

TEST(LogFilter, SelectsByTimeAndText) {
  LogFilter filter;
  filter.since = 10;
  filter.until = 20;
  filter.expression.emplace("E");
  EXPECT_TRUE(filter.admits({1, 15, "stdout", 0, "E\n"}));
  EXPECT_FALSE(filter.admits({1, 9, "stdout", 0, "E\n"}));
  EXPECT_FALSE(filter.admits({1, 21, "stdout", 0, "E\n"}));
  EXPECT_FALSE(filter.admits({1, 15, "stdout", 0, "W\n"}));
}

}  // namespace
}  // namespace bgtask::cli
