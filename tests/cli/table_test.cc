#include "cli/table.h"

#include <gtest/gtest.h>

#include <sstream>

#include "cli/escaping.h"
#include "cli/task_table.h"
#include "cli/text_width.h"

namespace bgtask::cli {
namespace {

TEST(DisplayWidthTest, CountsColumnsAndNotCodePoints) {
  const struct {
    const char* text;
    std::size_t columns;
  } cases[] = {{"", 0},      {"abc", 3},
               {"grün", 4},  {"漢字", 4},
               {"한글", 4},  {"カナ", 4},
               {"ｶﾅ", 2},    {"e\u0301te\u0301", 3} /* combining accents */,
               {"👍", 2},     {"\u0e01\u0e34", 1} /* a Thai vowel above */,
               {"…", 1},     {"\xff\xfe", 2},
               {"\ue000", 1} /* private use */};
  for (const auto& one : cases)
    EXPECT_EQ(display_width(one.text), one.columns) << one.text;
}

TEST(CutToWidthTest, NeverExceedsTheWidthAndKeepsCharactersWhole) {
  EXPECT_EQ(cut_to_width("grün", 4), "grün");
  EXPECT_EQ(cut_to_width("grünes", 4), "grü…");
  EXPECT_EQ(cut_to_width("漢字漢字", 8), "漢字漢字");
  EXPECT_EQ(cut_to_width("漢字漢字", 7), "漢字漢…");
  EXPECT_EQ(cut_to_width("漢字漢字", 6), "漢字…") << "half a character is none";
  EXPECT_EQ(cut_to_width("e\u0301e\u0301e\u0301", 2), "e\u0301…");
  EXPECT_EQ(cut_to_width("abc", 1), "…");
  EXPECT_EQ(cut_to_width("abc", 0), "");
}

// A column that stays, one that is capped, two that are left out, and a last one that keeps 20.
const std::vector<Column> kColumns = {{.title = "PID", .right = true},
                                      {.title = "NAME", .least = 5, .most = 10},
                                      {.title = "A", .dropped = 2},
                                      {.title = "B", .dropped = 1},
                                      {.title = "COMMAND", .least = 20}};

TEST(FitColumnsTest, CutsAndLeavesOutInTheOrderOfPriority) {
  const ColumnWidths widest = {4, 30, 6, 6, 100};  // 154 with the gaps
  const struct {
    std::size_t room;
    ColumnWidths widths;
  } cases[] = {{0, widest},
               {154, widest},
               {153, {4, 29, 6, 6, 100}},  // the name gives first, down to its cap
               {134, {4, 10, 6, 6, 100}},
               {133, {4, 10, 6, 6, 99}},  // then the command, down to 20
               {54, {4, 10, 6, 6, 20}},
               {53, {4, 9, 6, 6, 20}},  // then the name again, down to its least
               {49, {4, 5, 6, 6, 20}},
               {48, {4, 10, 6, 0, 22}},  // then B goes, and there is room again
               {41, {4, 5, 6, 0, 20}},
               {40, {4, 10, 0, 0, 22}},  // then A
               {33, {4, 5, 0, 0, 20}},
               {32, {4, 5, 0, 0, 19}},  // nothing is left to leave out
               {14, {4, 5, 0, 0, 1}},
               {13, {4, 5, 0, 0, 0}},
               {6, {4, 0, 0, 0, 0}},
               {3, {3, 0, 0, 0, 0}}};
  for (const auto& one : cases)
    EXPECT_EQ(fit_columns(kColumns, widest, one.room), one.widths) << one.room;
}

TEST(FitColumnsTest, LeavesShortCellsAsTheyAre) {
  EXPECT_EQ(fit_columns(kColumns, {4, 3, 1, 1, 8}, 25), (ColumnWidths{4, 3, 1, 1, 8}));
  EXPECT_EQ(fit_columns(kColumns, {4, 3, 1, 1, 8}, 24), (ColumnWidths{4, 3, 1, 0, 8}));
  EXPECT_EQ(fit_columns({}, {}, 10), ColumnWidths{});
}

TEST(TableTest, AlignsColumnsAndEscapesCells) {
  EXPECT_EQ(table({{.title = "PID", .right = true}, {.title = "NAME"}, {.title = "X"}},
                  {{{"7"}, {"a\nb"}, {"x"}}, {{"4711"}, {"ü"}, {""}}, {{"1"}, {"漢"}, {"y"}}}, {}),
            " PID  NAME  X\n"
            "   7  a\\nb  x\n"
            "4711  ü\n"
            "   1  漢    y\n");
}

TEST(TableTest, ColoursOnlyWhereWanted) {
  const std::vector<std::vector<Cell>> rows = {{{"running", Colour::kGreen}}};
  EXPECT_EQ(table({{.title = "S"}}, rows, {.header = false}), "running\n");
  EXPECT_EQ(table({{.title = "S"}}, rows, {.header = false, .colours = true}), "\x1b[32mrunning\x1b[0m\n");
}

const Json kEnded = {
    {"pid", 4711},
    {"command", {"sh", "-c", "it's \x1b[2J"}},
    {"meta", {{"name", "we\nb"}}},
    {"started_at", 1000},
    {"ended_at", 1060},
    {"rusage", {{"user_seconds", 1.25}, {"system_seconds", 0.25}}},
    {"status", {{"state", "exited"}, {"running", false}, {"exit_code", nullptr}, {"signal", "KILL"}}}};

TEST(TaskTableTest, ShowsWhatADocumentHasAndDashesForTheRest) {
  EXPECT_EQ(task_table({task_row(kEnded, {}, false, 1120), task_row(Json::object(), {}, false, 1120)}, false,
                       {.header = false}),
            "4711  we\\nb  exited  2m  1m  KILL  sh -c 'it'\\''s \\e[2J'\n"
            "   -  -      -        -   -     -  -\n");
}

TEST(TaskTableTest, SaysHowManyProcessesAnEndedTaskHasLeft) {
  EXPECT_EQ(task_row(kEnded, {.processes = 2}, false, 1120)[2].text, "exited+2");
  Json running = kEnded;
  running["status"] = {{"state", "running"}, {"running", true}};
  EXPECT_EQ(task_row(running, {.processes = 2}, true, 1120)[2].text, "running");
}

TEST(TaskTableTest, WideShowsTheTimeRunAndWhatTheTreeUses) {
  const auto row = task_row(kEnded, {.processes = 1, .cpu_seconds = 2, .resident = 3 << 20}, true, 1120);
  EXPECT_EQ(row[6].text, "1m") << "from its start to its end";
  EXPECT_EQ(row[7].text, "3.5s") << "of the command and of what is left";
  EXPECT_EQ(row[8].text, "3.0M");
  EXPECT_EQ(task_row(kEnded, {}, true, 1120)[8].text, "-");
}

TEST(TaskTableTest, NeverWraps) {
  Json long_one = kEnded;
  long_one["meta"]["name"] = std::string(100, 'n');
  long_one["command"] = {std::string(300, 'c'), "漢字漢字漢字"};
  long_one["cwd"] = "/" + std::string(100, 'd');
  for (const bool wide : {false, true}) {
    for (std::size_t width = 1; width < 300; ++width) {
      std::istringstream lines(task_table({task_row(long_one, {}, wide, 1120)}, wide, {.width = width}));
      for (std::string line; std::getline(lines, line);)
        EXPECT_LE(display_width(line), width) << line;
    }
  }
}

}  // namespace
}  // namespace bgtask::cli
