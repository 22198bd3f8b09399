#include "cli/output_format.h"

#include <gtest/gtest.h>

#include "cli/exit_status.h"
#include "cli/task_table.h"

namespace bgtask::cli {
namespace {

TEST(Json, IsAsciiAndWithoutControls) {
  EXPECT_EQ(json_line({{"k", "ä\x1b\n\x7f"}}), "{\"k\":\"\\u00e4\\u001b\\n\\u007f\"}");
}

TEST(Json, HasBytesAsBase64) {
  EXPECT_EQ(json_line(bytes_as_json("text")), "\"text\"");
  EXPECT_EQ(json_line(bytes_as_json("\xff")), "{\"base64\":\"/w==\"}");
  EXPECT_EQ(json_line(bytes_as_json("\xff\xfe")), "{\"base64\":\"//4=\"}");
  EXPECT_EQ(json_line({{"a", {{"b", Json::binary({0xff, 0xfe, 0xfd})}}}}),
            "{\"a\":{\"b\":{\"base64\":\"//79\"}}}");
}

TEST(Table, AlignsColumnsAndEscapesCells) {
  EXPECT_EQ(table({{"PID", true}, {"NAME", false}, {"X", false}},
                  {{{"7"}, {"a\nb"}, {"x"}}, {{"4711"}, {"ü"}, {""}}}, {}),
            " PID  NAME  X\n"
            "   7  a\\nb  x\n"
            "4711  ü\n");
}

TEST(Table, CutsTheLastColumn) {
  EXPECT_EQ(table({{"A"}, {"B"}}, {{{"1"}, {"123456"}}}, {.header = false, .width = 7}), "1  123…\n");
}

TEST(Table, ColoursOnlyWhereWanted) {
  const std::vector<std::vector<Cell>> rows = {{{"running", Colour::kGreen}}};
  EXPECT_EQ(table({{"S"}}, rows, {.header = false}), "running\n");
  EXPECT_EQ(table({{"S"}}, rows, {.header = false, .colours = true}), "\x1b[32mrunning\x1b[0m\n");
}

TEST(TaskTable, ShowsWhatADocumentHasAndDashesForTheRest) {
  const Json ended = {{"pid", 4711},
                      {"command", {"sh", "-c", "it's \x1b[2J"}},
                      {"meta", {{"name", "we\nb"}}},
                      {"started_at", 1000},
                      {"ended_at", 1060},
                      {"status", {{"state", "exited"}, {"exit_code", nullptr}, {"signal", "KILL"}}}};
  EXPECT_EQ(task_table({task_row(ended, false, 1120), task_row(Json::object(), false, 1120)}, false,
                       {.header = false}),
            "4711  we\\nb  exited  2m  1m  KILL  sh -c 'it'\\''s \\e[2J'\n"
            "   -  -      -        -   -     -  -\n");
}

TEST(ExitStatus, IsTheTasksOwn) {
  EXPECT_EQ(exit_status_of({{"exit_code", 3}, {"signal", nullptr}}), 3);
  EXPECT_EQ(exit_status_of({{"exit_code", nullptr}, {"signal", "KILL"}}), 137);
  EXPECT_EQ(exit_status_of({{"exit_code", nullptr}, {"signal", "SIGTERM"}}), 143);
  EXPECT_EQ(exit_status_of({{"exit_code", nullptr}, {"signal", nullptr}}), kExitFailure);
  EXPECT_EQ(exit_status_of(nullptr), kExitFailure);
}

}  // namespace
}  // namespace bgtask::cli
