#include "cli/progress_lines.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace bgtask::cli {
namespace {

TEST(LastState, OfALine) {
  const struct {
    const char *line, *state;
  } kTable[] = {
      {"plain\n", "plain\n"},
      {"plain", "plain"},
      {"", ""},
      {"\n", "\n"},
      {"10%\r20%\r100%\n", "100%\n"},
      {"10%\r20%\r", "20%"},
      {"10%\r20%\r\n", "20%\n"},
      {"dos\r\n", "dos\n"},
      {"\r\n", "\n"},
      {"10%\r\x1b[K20%\n", "20%\n"},
      {"10%\r\x1b[2K\x1b[0Kdone\n", "done\n"},
      {"\x1b[31mred\x1b[0m\n", "\x1b[31mred\x1b[0m\n"},
  };
  for (const auto& row : kTable)
    EXPECT_EQ(last_state(row.line), row.state) << row.line;
}

// What a terminal shows in the end, of lines and of the sequence that begins one anew.
std::string screen(const std::string& written) {
  std::string shown, line;
  for (std::size_t i = 0; i < written.size(); ++i) {
    if (written.compare(i, LiveProgress::kBeginAnew.size(), LiveProgress::kBeginAnew) == 0) {
      line.clear();
      i += LiveProgress::kBeginAnew.size() - 1;
    } else if (written[i] == '\n') {
      shown += line + "\n";
      line.clear();
    } else {
      EXPECT_NE(written[i], '\r');
      line += written[i];
    }
  }
  return shown + line;
}

std::string live(const std::vector<std::string>& pieces) {
  LiveProgress progress;
  std::string written;
  for (const auto& piece : pieces)
    written += progress.feed(piece, [](std::string_view text) { return std::string(text); });
  return written;
}

TEST(LiveProgress, ShowsEachStateAtOnce) {
  EXPECT_EQ(live({"10%"}), "10%");
  EXPECT_EQ(live({"10%", "\r20%"}), "10%\r\x1b[K20%");
  EXPECT_EQ(live({"10%\r", "20%\r"}), "10%\r\x1b[K20%");
  EXPECT_EQ(live({"10%\r20%"}), "20%") << "of one piece only the last is written";
  EXPECT_EQ(live({"a", "b", "\n", "c\r\n"}), "ab\nc\n");
  EXPECT_EQ(live({"100%\r", "\n"}), "100%\n") << "the state stays where the line ends there";
}

TEST(LiveProgress, EndsWithWhatLastStateSaysHoweverItIsCut) {
  const std::string text = "start\n1%\r2%\r\x1b[K3%\r\ndos\r\nx\ry\rz\n\n100%\rdone";
  std::string expected;
  for (std::size_t begin = 0; begin < text.size();) {
    const auto end = std::min(text.find('\n', begin), text.size() - 1) + 1;
    expected += last_state(text.substr(begin, end - begin));
    begin = end;
  }
  for (std::size_t first = 0; first <= text.size(); ++first) {
    const auto in_escape = text.find("\x1b[K");
    if (first > in_escape && first < in_escape + 3) continue;  // a sequence that is cut stays visible
    EXPECT_EQ(screen(live({text.substr(0, first), text.substr(first)})), expected) << first;
  }
}

}  // namespace
}  // namespace bgtask::cli
