#include "cli/env_file.h"

#include <gtest/gtest.h>

#include "cli/usage_error.h"

namespace bgtask::cli {
namespace {

using Lines = std::vector<EnvironmentLine>;

TEST(EnvironmentFileTest, IsReadAsDockerReadsIt) {
  const struct {
    std::string text;
    Lines lines;
  } cases[] = {{"", {}},
               {"A=1\nB=2\n", {{"A", "1"}, {"B", "2"}}},
               {"A=1", {{"A", "1"}}},
               {"A=", {{"A", ""}}},
               {"A=b=c", {{"A", "b=c"}}},
               {"A", {{"A", std::nullopt}}},
               {"\n  \n\t\n# no\n  # neither\nA=1 # value\n", {{"A", "1 # value"}}},
               {"  A=1\n\tB=2\n", {{"A", "1"}, {"B", "2"}}},
               {"A= 1 \n", {{"A", " 1 "}}},
               {"A=\"1\"\nB='2'\n", {{"A", "\"1\""}, {"B", "'2'"}}},
               {"A=1\r\nB=2\r\n\r\n", {{"A", "1"}, {"B", "2"}}},
               {"\xef\xbb\xbf"
                "A=1\n",
                {{"A", "1"}}},
               {"A=\xff\n", {{"A", "\xff"}}},
               {"A.b-c=1\n", {{"A.b-c", "1"}}}};
  for (const auto& one : cases)
    EXPECT_EQ(parse_environment_file(one.text, "f"), one.lines) << one.text;
}

TEST(EnvironmentFileTest, RefusesOtherLinesNamingFileAndLine) {
  const struct {
    std::string text;
    std::string message;
  } cases[] = {
      {"A=1\nexport B=2\n", "some/file:2: the line has a blank in the name 'export B'; leave out 'export'"},
      {"\n\nB C=2\n", "some/file:3: the line has a blank in the name 'B C'"},
      {"B =2\n", "some/file:1: the line has a blank in the name 'B '"},
      {"=2\n", "some/file:1: the line has no name before the '='"},
      {std::string("A=\0\n", 4), "some/file:1: the line has a NUL byte"}};
  for (const auto& one : cases) {
    try {
      parse_environment_file(one.text, "some/file");
      ADD_FAILURE() << one.text;
    } catch (const UsageError& error) {
      EXPECT_EQ(error.what(), one.message);
    }
  }
}

}  // namespace
}  // namespace bgtask::cli
