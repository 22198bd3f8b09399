// A task's name, command, directory, metadata and output contain terminal escapes: no verb prints them raw.
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <regex>
#include <sstream>

#include "tests/faults/protocol_fixture.h"

namespace bgtask::faults {
namespace {

constexpr char kNasty[] =
    "\x1b]0;title\x07\x1b[2J\xc2\x9b"
    "31m\xe2\x80\xaexyz\x7f\b\t\xe2\x81\xa6\r";

/// The first control character, direction mark or byte that is no UTF-8 (newlines and, on request, tabs and
/// colours are none of these); "" if there is none.
std::string harm_in(const std::string& text) {
  static const std::regex harmful(
      "[\\x01-\\x09\\x0b-\\x1f\\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\x8e\x8f\xaa-\xae]|\xe2\x81[\xa6-\xa9]");
  std::smatch found;
  if (text.find('\0') != std::string::npos) return "a NUL";
  if (!std::regex_search(text, found, harmful))
    return Json(text).dump(-1, ' ', false, Json::error_handler_t::replace).find("\xef\xbf\xbd") ==
                   std::string::npos
               ? ""
               : "no UTF-8";
  std::ostringstream where;
  where << "byte " << static_cast<int>(static_cast<unsigned char>(found.str()[0])) << " at "
        << found.position() << " of: " << Json(text).dump(-1, ' ', true, Json::error_handler_t::replace);
  return where.str();
}

class ProtocolTerminal : public FaultTest {
 protected:
  void SetUp() override {
    FaultTest::SetUp();
    const std::filesystem::path directory = base() / kNasty;
    ASSERT_EQ(::mkdir(directory.c_str(), 0700), 0);
    // The output has colours, which may reach a terminal, and sequences that may not.
    task_.emplace(spawn(
        {.exec = {"/bin/sh", "-c", "printf \"$1\"; printf \"$1\" >&2; exec sleep 1000", "sh",
                  std::string(kNasty) + "\xff\xfe\x1b[31mred\x1b[0m\n"},
         .cwd = directory.string(),
         .meta = {
             {"name", kNasty}, {kNasty, kNasty}, {"value", kNasty}, {"list", {kNasty, {{kNasty, 1}}}}}}));
    RawClient client(socket_of(*task_), Encoding::kMsgpack);
    client.result("apply_meta", {{"meta", {{"bytes", "\xff\x1b[31m"}}}});
    ASSERT_TRUE(wait_limit(*task_, "stderr", 10));
    ASSERT_TRUE(wait_limit(*task_, "stdout", 10));
  }
  void TearDown() override {
    task_.reset();
    FaultTest::TearDown();
  }
  Task& task() { return *task_; }
  void expect_harmless(const std::vector<std::string>& arguments) {
    const e2e::ProgramResult result = bgtask(arguments);
    EXPECT_EQ(harm_in(result.out), "") << "stdout of " << Json(arguments).dump(-1, ' ', true);
    EXPECT_EQ(harm_in(result.err), "") << "stderr of " << Json(arguments).dump(-1, ' ', true);
    EXPECT_FALSE(result.out.empty() && result.err.empty()) << Json(arguments).dump(-1, ' ', true);
  }
  /// What a program prints on a terminal.
  std::string on_terminal(std::vector<std::string> arguments) {
    const int terminal = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    EXPECT_TRUE(terminal >= 0 && ::grantpt(terminal) == 0 && ::unlockpt(terminal) == 0);
    const std::string other_end = ::ptsname(terminal);
    const pid_t child = ::fork();
    if (child == 0) {
      ::setsid();
      const int fd = ::open(other_end.c_str(), O_RDWR);
      termios raw{};
      ::tcgetattr(fd, &raw);
      ::cfmakeraw(&raw);
      ::tcsetattr(fd, TCSANOW, &raw);
      ::dup2(fd, 0);
      ::dup2(fd, 1);
      ::dup2(fd, 2);
      ::setenv("TERM", "xterm", 1);
      arguments.insert(arguments.begin(), BGTASK_PROGRAM);
      std::vector<char*> argv;
      for (std::string& argument : arguments)
        argv.push_back(argument.data());
      argv.push_back(nullptr);
      ::execv(argv[0], argv.data());
      ::_exit(127);
    }
    std::string text;
    char buffer[4096];
    ssize_t n = 0;
    while ((n = ::read(terminal, buffer, sizeof buffer)) > 0 || (n < 0 && errno == EINTR))
      text.append(buffer, static_cast<size_t>(n));
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
    ::close(terminal);
    return text;
  }

 private:
  std::optional<Task> task_;
};

TEST_F(ProtocolTerminal, G10_NoVerbPrintsAnEscapeOfATask) {
  const std::string pid = std::to_string(task().pid());
  const std::string name = kNasty;
  const std::map<std::string, std::vector<std::vector<std::string>>> lines = {
      {"run",
       {{"--", "/nonexistent/" + name},
        {"-n", name, "--unless-running", "--", "true"},
        {"--cwd", name, "--", "true"}}},
      {"ls",
       {{},
        {"-o", "wide"},
        {"-o", "json"},
        {"-o", "jsonl"},
        {"-o", "name"},
        {"-q"},
        {"-l", name + "=" + name},
        {"--state", name},
        {"--where", name}}},
      {"info",
       {{pid}, {name}, {"-o", "table", pid}, {"-o", "jsonl", pid}, {"-o", "name", pid}, {"no " + name}}},
      {"meta",
       {{pid},
        {"-o", "jsonl", pid},
        {"-o", "json", pid, "value"},
        {"-o", "json", pid, name},
        {pid, "no" + name},
        {pid, "{" + name},
        {"no " + name, "x"}}},
      {"logs",
       {{"-o", "json", pid},
        {"-o", "jsonl", pid},
        {"-o", "jsonl", name},
        {"no " + name},
        {"-g", "[" + name, pid},
        {"--since", name, pid},
        {"--show-cursor", "--stream", "data", pid}}},
      {"follow", {{"no " + name}, {"--stream", name, pid}}},
      {"read",
       {{"-o", "json", "--peek", pid},
        {"-o", "json", "--peek", "--stream", "err", name},
        {"no " + name},
        {"--stream", name, pid}}},
      {"send", {{"no " + name, "text"}, {"--" + name, pid}}},
      {"kill", {{"-s", "CONT", name}, {"-s", name, pid}, {"no " + name}}},
      {"pause", {{name}, {"no " + name}}},
      {"resume", {{name}, {"-o", "json", name}, {"no " + name}}},
      {"restart", {{name}, {"no " + name}}},
      {"wait", {{"--timeout", "0.01", name}, {"--for", name, pid}, {"no " + name}}},
      {"adopt", {{pid}, {name}}},
      {"gc", {{name}, {"--" + name}}},
      {"emit", {{name}}},
      {"clean", {{"--" + name}, {"no " + name}}},
      {"stop", {{"--grace", name, pid}, {name}}},
      {"delete", {{"no " + name}, {"--collect", "-o", "json", name}}},
      {name, {{}}},
      {"--pool", {{name}, {"/dev/null/" + name, "ls"}}}};
  // Those of the program's own list, each of them.
  std::istringstream help(bgtask({"--help"}).out);
  bool in_verbs = false;
  for (std::string line; std::getline(help, line);) {
    if (line.empty()) in_verbs = false;
    if (in_verbs) {
      EXPECT_TRUE(lines.contains(line.substr(2, line.find(' ', 2) - 2))) << line;
    }
    if (line == "Verbs:") in_verbs = true;
  }
  for (const auto& [verb, all] : lines) {
    if (verb == "stop" || verb == "delete") continue;  // they come last
    for (std::vector<std::string> arguments : all) {
      arguments.insert(arguments.begin(), verb);
      expect_harmless(arguments);
    }
  }
  for (const char* verb : {"stop", "delete"}) {
    for (std::vector<std::string> arguments : lines.at(verb)) {
      arguments.insert(arguments.begin(), verb);
      expect_harmless(arguments);
    }
  }
  EXPECT_FALSE(pool().task(task().pid()).has_value())
      << "deleted by its name, as everything before was done to it";
}

TEST_F(ProtocolTerminal, G2_G10_OutputIsExactInAPipeAndHarmlessOnATerminal) {
  const std::string pid = std::to_string(task().pid());
  const std::string output = task().stream("stdout").peek(0).data;
  ASSERT_NE(harm_in(output), "");
  EXPECT_EQ(bgtask({"logs", "--stream", "out", pid}).out, output);
  EXPECT_EQ(bgtask({"read", "--peek", pid}).out, output);
  EXPECT_EQ(bgtask({"meta", pid, "value"}).out, std::string(kNasty) + "\n");
  EXPECT_EQ(on_terminal({"logs", "--raw", "--stream", "out", pid}), output) << "to whom asks for it";
  EXPECT_EQ(on_terminal({"read", "--raw", "--peek", pid}), output);
  const std::regex colours("\x1b\\[[0-9;]*m|\t");
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{{"logs", pid},
                                             {"logs", "-t", pid},
                                             {"logs", "--bytes", "0:", pid},
                                             {"read", "--peek", pid},
                                             {"read", "--peek", "--offset", "1", pid},
                                             {"meta", pid, "value"},
                                             {"ls"},
                                             {"ls", "-o", "name"},
                                             {"info", "-o", "table", pid},
                                             {"info", pid},
                                             {"read", pid}}) {
    const std::string shown = on_terminal(arguments);
    // Of a line with carriage returns, logs shows a terminal the last state only.
    const char* expected = arguments[0] == "logs" ? "red" : "xyz";
    EXPECT_NE(shown.find(expected), std::string::npos) << Json(arguments) << shown;
    EXPECT_EQ(harm_in(std::regex_replace(shown, colours, "")), "") << Json(arguments);
  }
}

}  // namespace
}  // namespace bgtask::faults
