// Arguments arrive byte for byte, and nothing passes through a shell unless asked.
#include <sstream>

#include "tests/e2e/fixture.h"

namespace bgtask::e2e {
namespace {

using ArgumentsTest = E2eTest;

/// What `awkward args` prints for these arguments.
std::string printed(const std::vector<std::string>& args) {
  std::ostringstream out;
  for (const std::string& arg : args) {
    out << arg.size() << ':';
    for (unsigned char c : arg)
      out << "0123456789abcdef"[c >> 4] << "0123456789abcdef"[c & 15];
    out << '\n';
  }
  return out.str();
}

std::vector<std::string> awkward_arguments() {
  std::string every_byte;
  for (int c = 1; c < 256; ++c)
    every_byte += static_cast<char>(c);
  return {"",
          " ",
          "  two  spaces ",
          "new\nline",
          "\t",
          "'",
          "\"",
          "`id`$(id)$HOME ${HOME} \\ * ? ~ ; & | < > # !",
          "grün → 木 😀",
          "\xff\xfe\x80 not UTF-8",
          every_byte,
          std::string(100 * 1024, 'x'),
          "-n",
          "--",
          "--help",
          ""};
}

TEST_F(ArgumentsTest, ArriveByteForByteThroughTheLibrary) {
  const std::vector<std::string> args = awkward_arguments();
  std::vector<std::string> command = args;
  command.insert(command.begin(), "args");
  Task task = awkward(command);
  EXPECT_EQ(wait_exit(task)["exit_code"], 0);
  EXPECT_EQ(task.stream("stdout").read().data, printed(args));
}

TEST_F(ArgumentsTest, AreToldAsTheyWereGiven) {
  const std::vector<std::string> args = awkward_arguments();
  std::vector<std::string> command = args;
  command.insert(command.begin(), "args");
  Task task = awkward(command);
  command = awkward_command(command);
  for (const Json& info : {task.info(true), task.snapshot()}) {
    ASSERT_EQ(info.at("command").size(), command.size());
    for (size_t i = 0; i < command.size(); ++i)
      EXPECT_EQ(bytes_of(info["command"][i]), command[i]) << i;
  }
}

TEST_F(ArgumentsTest, ArriveByteForByteThroughTheCommandLine) {
  const std::vector<std::string> args = awkward_arguments();
  std::vector<std::string> command = {"run", "--", AWKWARD_PROGRAM, "args"};
  command.insert(command.end(), args.begin(), args.end());
  const ProgramResult run = bgtask(command);
  ASSERT_EQ(run.status, 0) << run.err;
  const pid_t pid = std::stoi(run.out);
  EXPECT_EQ(run.out, std::to_string(pid) + "\n") << "run prints the pid and nothing else";
  Task task(pid, pool().path());
  EXPECT_EQ(wait_exit(task)["exit_code"], 0);
  EXPECT_EQ(task.stream("stdout").read().data, printed(args));
}

TEST_F(ArgumentsTest, AloneDoNotMakeAShell) {
  const ProgramResult run = bgtask({"run", "--", "echo one; echo two"});
  EXPECT_EQ(run.status, 127);
  EXPECT_EQ(run.out, "");
  EXPECT_NE(run.err.find("echo one; echo two"), std::string::npos) << run.err;
  EXPECT_EQ(error_of([&] { spawn({.exec = {"echo one; echo two"}}); }).os_error(), ENOENT);
}

TEST_F(ArgumentsTest, WithCAreForTheShell) {
  const ProgramResult run = bgtask({"run", "-c", "printf %s \"$((6*7))\"; printf '|%s' \"$0\"; exit 4"});
  ASSERT_EQ(run.status, 0) << run.err;
  Task task(std::stoi(run.out), pool().path());
  EXPECT_EQ(wait_exit(task)["exit_code"], 4);
  EXPECT_EQ(task.stream("stdout").read().data.substr(0, 3), "42|");
  Task again = shell("printf %s \"$((6*7))\"");
  wait_exit(again);
  EXPECT_EQ(again.stream("stdout").read().data, "42");
}

TEST_F(ArgumentsTest, AProgramWithoutSlashIsLookedForInThePathOfTheChild) {
  const std::filesystem::path bin = base() / "bin";
  std::filesystem::create_directory(bin);
  std::filesystem::create_symlink("/bin/true", bin / "a-name-of-our-own");
  Task task = spawn({.exec = {"a-name-of-our-own"}, .env = {{"PATH", bin.string()}}});
  EXPECT_EQ(wait_exit(task)["exit_code"], 0);
  EXPECT_EQ(error_of([&] { spawn({.exec = {"a-name-of-our-own"}}); }).os_error(), ENOENT);
}

TEST_F(ArgumentsTest, AZeroByteCannotBePassedAndIsRefused) {
  const Error error = error_of([&] { spawn({.exec = {"/bin/echo", std::string("a\0b", 3)}}); });
  EXPECT_EQ(error.code(), "bad_argument");
  EXPECT_EQ(names_in(pool().path()), std::vector<std::string>());
}

}  // namespace
}  // namespace bgtask::e2e
