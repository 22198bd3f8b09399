#include "cli/output_format.h"

#include <gtest/gtest.h>

#include "cli/exit_status.h"

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

TEST(ExitStatus, IsTheTasksOwn) {
  EXPECT_EQ(exit_status_of({{"exit_code", 3}, {"signal", nullptr}}), 3);
  EXPECT_EQ(exit_status_of({{"exit_code", nullptr}, {"signal", "KILL"}}), 137);
  EXPECT_EQ(exit_status_of({{"exit_code", nullptr}, {"signal", "SIGTERM"}}), 143);
  EXPECT_EQ(exit_status_of({{"exit_code", nullptr}, {"signal", nullptr}}), kExitFailure);
  EXPECT_EQ(exit_status_of(nullptr), kExitFailure);
}

}  // namespace
}  // namespace bgtask::cli
