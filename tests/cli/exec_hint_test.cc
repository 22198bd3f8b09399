#include "cli/exec_hint.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace bgtask::cli {
namespace {

CommandFile file(const std::string& head) {
  return {.head = head, .executable = true};
}

TEST(ExecHintTest, SaysWhatTheErrorDoesNot) {
  const struct {
    std::string word;
    std::optional<CommandFile> file;
    int error;
    std::string hint;
  } cases[] = {
      {"./x", file("#!/no/such\necho"), ENOENT, "the file is there, but not its interpreter '/no/such'"},
      {"./x", file("#! /no/such -e\n"), ENOENT, "the file is there, but not its interpreter '/no/such'"},
      {"./x", file("#!/no/such"), ENOENT, "the file is there, but not its interpreter '/no/such'"},
      {"./x", file("#!/bin/sh\r\necho\r\n"), ENOENT,
       "the file is there, but its first line ends in a carriage return, so that its interpreter would be "
       "'/bin/sh\r'; convert it to Unix line ends"},
      {"./x",
       file("\x7f"
            "ELF\x02"),
       ENOENT, "the file is there, but not the dynamic loader that it was linked for"},
      {"./x", file("#!"), ENOENT, "the file is there, but not its interpreter ''"},
      {"./x", file(""), ENOENT, ""},
      {"./x", file("echo hello\n"), ENOEXEC, "a script needs a first line such as #!/bin/sh"},
      {"./x", file(""), ENOEXEC, "the file is empty"},
      {"./x",
       file("\x7f"
            "ELF\x02"),
       ENOEXEC, "it was built for another machine"},
      {"./x", CommandFile{.head = ""}, EACCES, "its mode does not let it be executed (chmod +x)"},
      {"./x", CommandFile{.head = "", .directory = true, .executable = true}, EACCES, "it is a directory"},
      {"./x", file("x"), EACCES, ""},
      {"echo hello", std::nullopt, ENOENT,
       "for a whole command line in one argument give -c, or put its words apart"},
      {"A_1=b c", std::nullopt, ENOENT, "to set a variable, give -e A_1=b c before the command"},
      {"a-b=c", std::nullopt, ENOENT, ""},
      {"1=c", std::nullopt, ENOENT, ""},
      {"=c", std::nullopt, ENOENT, ""},
      {"nothing", std::nullopt, ENOENT, ""},
      {"./x", file("#!/bin/sh"), EIO, ""}};
  for (const auto& one : cases)
    EXPECT_EQ(exec_hint(one.word, one.file, one.error), one.hint) << one.word << " " << one.error;
}

}  // namespace
}  // namespace bgtask::cli
