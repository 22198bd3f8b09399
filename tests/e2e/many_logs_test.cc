// Several tasks at once, and tasks of one name: `logs`, `logs -f`, `wait`, `send`.
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <sstream>

#include "tests/e2e/fixture.h"
#include "tests/e2e/started_program.h"

namespace bgtask::e2e {
namespace {

class ManyLogsTest : public E2eTest {
 protected:
  Task named(const std::string& name, const std::string& text) const {
    return shell(text, {.stdin = StdinMode::kPipe, .meta = {{"name", name}, {"team", "web"}}});
  }
  Task ended(const std::string& name, const std::string& text) const {
    Task task = named(name, text);
    wait_exit(task);
    return task;
  }
  static std::vector<std::string> sorted_lines(const std::string& text) {
    std::vector<std::string> lines;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);)
      lines.push_back(line);
    std::sort(lines.begin(), lines.end());
    return lines;
  }
};

using Lines = std::vector<std::string>;

TEST_F(ManyLogsTest, EachLineBeginsWithItsTask) {
  ended("api", "echo one; echo two");
  ended("frontend", "printf 'begun'");
  EXPECT_EQ(bgtask({"logs", "-l", "team=web"}).out, "api      | one\napi      | two\nfrontend | begun\n");
  EXPECT_EQ(bgtask({"logs", "--no-prefix", "-a"}).out, "one\ntwo\nbegun");
  EXPECT_EQ(bgtask({"logs", "api"}).out, "one\ntwo\n") << "one alone is byte-exact";
}

TEST_F(ManyLogsTest, TasksOfOneNameAreToldApartByTheirPids) {
  const std::string a = std::to_string(ended("web", "echo one").pid());
  const std::string b = std::to_string(ended("web", "echo two").pid());
  EXPECT_EQ(sorted_lines(bgtask({"logs", "web"}).out),
            sorted_lines("web(" + a + ") | one\nweb(" + b + ") | two\n"));
  const std::string chunks = bgtask({"logs", "-o", "jsonl", "web"}).out;
  EXPECT_EQ(Json::parse(chunks.substr(0, chunks.find('\n'))).at("pid"), std::stoi(a));
}

TEST_F(ManyLogsTest, SeveralAreFollowedAtOnce) {
  Task api = named("api", "while read line; do echo $line; done");
  Task front = named("front", "while read line; do echo $line; done");
  StartedProgram logs({BGTASK_PROGRAM, "logs", "-f", "-l", "team=web"});
  api.stream("stdin").write_all("first\n");
  ASSERT_TRUE(logs.says("api   | first\n"));
  front.stream("stdin").write_all("second\n");
  ASSERT_TRUE(logs.says("front | second\n"));
  api.stream("stdin").write_all("third\n");
  ASSERT_TRUE(logs.says("api   | third\n"));
  api.stream("stdin").close();
  front.stream("stdin").close();
  EXPECT_EQ(logs.wait(), 0) << "it ends when all have";
}

TEST_F(ManyLogsTest, AFollowerEndsWithItsReader) {
  named("quiet", "echo ready; sleep 1000");
  StartedProgram logs({BGTASK_PROGRAM, "logs", "-f", "quiet"});
  ASSERT_TRUE(logs.says("ready"));
  logs.close_stdout();
  EXPECT_EQ(logs.wait(Milliseconds(5'000)), 128 + SIGPIPE);
}

TEST_F(ManyLogsTest, OfOneNameTheOnlyRunningIsMeantElseTheNewest) {
  ended("web", "echo old; exit 3");
  Task running = named("web", "cat; exit 4");
  ended("web", "echo newest; exit 5");
  EXPECT_EQ(bgtask({"send", "--close", "web", "hello"}).status, 0);
  EXPECT_EQ(bgtask({"wait", std::to_string(running.pid())}).status, 4);
  EXPECT_EQ(bgtask({"wait", "web"}).status, 5) << "none runs any more: the newest";
  EXPECT_EQ(bgtask({"logs", "-f", "web"}).out, "newest\n");
  EXPECT_EQ(bgtask({"read", "web"}).out, "newest\n");
}

TEST_F(ManyLogsTest, AStartUnderTheNameOfARunningTaskIsWarnedOf) {
  const Task first = named("web", "sleep 1000");
  const ProgramResult second = bgtask({"run", "-n", "web", "sleep", "1000"});
  EXPECT_EQ(second.status, 0);
  EXPECT_NE(second.err.find("web already: " + std::to_string(first.pid())), std::string::npos) << second.err;
  const ProgramResult wait = bgtask({"wait", "--timeout", "0.1", "web"});
  EXPECT_EQ(wait.status, 124);
  EXPECT_NE(wait.err.find(second.out.substr(0, second.out.size() - 1)), std::string::npos) << wait.err;
  ended("done", "true");
  EXPECT_EQ(bgtask({"run", "-n", "done", "true"}).err, "");
}

TEST_F(ManyLogsTest, AMissingTaskIsToldAfterTheOthersWereWaitedFor) {
  Task slow = named("slow", "read line; exit 3");
  StartedProgram wait({BGTASK_PROGRAM, "wait", "missing", "slow"});
  ASSERT_TRUE(wait.says_on_stderr("missing"));
  EXPECT_EQ(wait.wait(Milliseconds(100)), -1) << "it waits for the one that is there";
  slow.stream("stdin").write_all("go\n");
  EXPECT_EQ(wait.wait(), 125);
  EXPECT_EQ(bgtask({"wait", "slow"}).status, 3);
}

TEST_F(ManyLogsTest, AllAreWaitedForAtTheSameTime) {
  Task first = named("first", "read line; exit 3");
  Task second = named("second", "read line; exit 4");
  StartedProgram wait({BGTASK_PROGRAM, "wait", "-o", "jsonl", "first", "second"});
  second.stream("stdin").write_all("go\n");
  ASSERT_TRUE(wait.says("\"pid\":" + std::to_string(second.pid()))) << wait.out();
  second.remove();
  first.stream("stdin").write_all("go\n");
  EXPECT_EQ(wait.wait(), 3) << "the first of those given that is not 0";
}

TEST_F(ManyLogsTest, ProgressIsCollapsedOnRequest) {
  const Task task = ended("progress", "printf '10%%\\r20%%\\r100%%\\ndone\\n'");
  const std::string pid = std::to_string(task.pid());
  EXPECT_EQ(bgtask({"logs", pid}).out, "10%\r20%\r100%\ndone\n");
  EXPECT_EQ(bgtask({"logs", "--collapse-cr", pid}).out, "100%\ndone\n");
}

// What is written to a terminal by a program that is started with it as stdout, until the program's end.
std::string on_a_terminal(const std::vector<std::string>& argv, const std::string& awaited) {
  int master = -1, slave = -1;
  if (::openpty(&master, &slave, nullptr, nullptr, nullptr) != 0) throw std::runtime_error("openpty");
  std::string seen;
  {
    StartedProgram program(argv, {.out = slave});
    ::close(slave);
    pollfd ready{master, POLLIN, 0};
    while (seen.find(awaited) == std::string::npos && ::poll(&ready, 1, 30'000) > 0) {
      char piece[4096];
      const ssize_t n = ::read(master, piece, sizeof piece);
      if (n <= 0) break;
      seen.append(piece, static_cast<size_t>(n));
    }
    EXPECT_EQ(program.wait(), 0) << program.err();
  }
  ::close(master);
  return seen;
}

TEST_F(ManyLogsTest, OnATerminalProgressIsShownByItsLastState) {
  const Task task = ended("progress", "printf '10%%\\r20%%\\r100%%\\ndone\\n'");
  const std::string pid = std::to_string(task.pid());
  EXPECT_EQ(on_a_terminal({BGTASK_PROGRAM, "logs", pid}, "done\r\n"), "100%\r\ndone\r\n");
  EXPECT_EQ(on_a_terminal({BGTASK_PROGRAM, "logs", "--raw", pid}, "done\r\n"), "10%\r20%\r100%\r\ndone\r\n");
  // On a busy machine both states may come in one piece.
  const std::string live =
      on_a_terminal({BGTASK_PROGRAM, "run", "--rm", "-f", "-c",
                     "printf '10%%'; sleep 0.3; printf '\\r20%%'; sleep 0.3; printf '\\ndone\\n'"},
                    "done\r\n");
  EXPECT_TRUE(live == "10%\r\x1b[K20%\r\ndone\r\n" || live == "20%\r\ndone\r\n") << live;
}

TEST_F(ManyLogsTest, SplitKeepsStreamsApart) {
  const Task task = ended("both", "echo out; echo err >&2");
  const ProgramResult split = bgtask({"logs", "--split", std::to_string(task.pid())});
  EXPECT_EQ(split.out, "out\n");
  EXPECT_EQ(split.err, "err\n");
}

}  // namespace
}  // namespace bgtask::e2e
