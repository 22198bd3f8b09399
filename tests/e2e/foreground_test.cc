// `bgtask run --behavior foreground`: the process that was started becomes the supervisor.
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <optional>

#include "tests/e2e/fixture.h"
#include "tests/e2e/started_program.h"

namespace bgtask::e2e {
namespace {

class ForegroundTest : public E2eTest {
 protected:
  static std::vector<std::string> run(std::vector<std::string> options, std::vector<std::string> command) {
    options.insert(options.begin(), {BGTASK_PROGRAM, "run", "--behavior", "foreground"});
    options.push_back("--");
    options.insert(options.end(), command.begin(), command.end());
    return options;
  }
  std::vector<std::string> awkward_run(std::vector<std::string> options,
                                       std::vector<std::string> args) const {
    return run(std::move(options), awkward_command(std::move(args)));
  }
  static std::vector<std::string> shell_run(std::vector<std::string> options, const std::string& text) {
    return run(std::move(options), {"/bin/sh", "-c", text});
  }
  // The oracle: nothing is left of the task, and nothing was said that somebody has to look into.
  void expect_clean_end(const StartedProgram& program) const {
    EXPECT_EQ(names_in(pool().path()), std::vector<std::string>());
    EXPECT_TRUE(eventually([this] { return own_processes().empty(); }));
    EXPECT_EQ(program.err().find("lost"), std::string::npos) << program.err();
    EXPECT_EQ(program.err().find("no task"), std::string::npos) << program.err();
  }
};

TEST_F(ForegroundTest, TheStartedProcessIsTheSupervisor) {
  StartedProgram program(awkward_run({"-n", "by-hand"}, {"family"}));
  ASSERT_TRUE(program.says("\n"));
  EXPECT_EQ(program.out(), std::to_string(program.pid()) + "\n") << "the pid, as ever";
  Task task(program.pid(), pool().path());
  EXPECT_EQ(task.info()["meta"]["name"], "by-hand");
  const auto family = family_of(task, 4);
  EXPECT_EQ(task.pause(), 4u);
  EXPECT_EQ(task.resume(), 4u);
  program.signal(SIGTERM);
  EXPECT_EQ(program.wait(), 0);
  for (const auto& member : family)
    EXPECT_TRUE(gone(member.second)) << member.first;
  expect_clean_end(program);
  EXPECT_EQ(program.err(), "");
}

TEST_F(ForegroundTest, StaysAfterItsCommandsEndUnlessToldToEndWithIt) {
  StartedProgram program(awkward_run({}, {"exit", "4"}));
  ASSERT_TRUE(program.says("\n"));
  Task task(program.pid(), pool().path());
  EXPECT_EQ(wait_exit(task)["exit_code"], 4);
  EXPECT_EQ(task.remove().signalled, 0u);
  EXPECT_EQ(program.wait(), 0);
}

TEST_F(ForegroundTest, EndsWithItsCommandsStatus) {
  EXPECT_EQ(run_program(awkward_run({"--wait", "--rm"}, {"exit", "4"})).status, 4);
  EXPECT_EQ(run_program(awkward_run({"--wait", "--rm"}, {"exit", "0"})).status, 0);
  EXPECT_EQ(run_program(awkward_run({"--wait", "--rm"}, {"signal", "9"})).status, 137);
  EXPECT_EQ(names_in(pool().path()), std::vector<std::string>());
}

TEST_F(ForegroundTest, ToldToEndByTermItEndsWithTheTasksStatus) {
  StartedProgram killed(awkward_run({"--wait", "--rm"}, {"sleep"}));
  ASSERT_TRUE(killed.says("\n"));
  killed.signal(SIGTERM);
  EXPECT_EQ(killed.wait(), 143);
  expect_clean_end(killed);
  EXPECT_EQ(killed.err(), "");

  StartedProgram tidy(
      shell_run({"--wait", "--rm"}, "trap 'exit 5' TERM; echo ready; while :; do sleep 0.02; done"));
  ASSERT_TRUE(tidy.says("\n"));
  Task task(tidy.pid(), pool().path());
  ASSERT_TRUE(wait_limit(task, "stdout", 6));
  task.disconnect();
  tidy.signal(SIGTERM);
  EXPECT_EQ(tidy.wait(), 5);
  expect_clean_end(tidy);
}

TEST_F(ForegroundTest, DeletedBySomebodyElseItEndsWithTheTasksStatus) {
  StartedProgram program(awkward_run({"--wait", "--rm"}, {"sleep"}));
  ASSERT_TRUE(program.says("\n"));
  EXPECT_EQ(bgtask({"delete", std::to_string(program.pid())}).status, 0);
  EXPECT_EQ(program.wait(), 143);
  expect_clean_end(program);
}

TEST_F(ForegroundTest, OutputIsForwardedEachStreamToItsOwn) {
  const ProgramResult result =
      run_program(shell_run({"-f", "--rm"}, "echo out; echo err >&2; echo more; exit 3"));
  EXPECT_EQ(result.status, 3);
  EXPECT_EQ(result.out, "out\nmore\n");
  EXPECT_TRUE(result.err.starts_with("bgtask: task ")) << result.err;
  EXPECT_NE(result.err.find("\nerr\n"), std::string::npos) << result.err;
}

TEST_F(ForegroundTest, TheLastOutputIsShownWhenItIsToldToEnd) {
  StartedProgram program(shell_run(
      {"-f", "--rm"}, "trap 'echo last words; exit 6' TERM; echo ready; while :; do sleep 0.02; done"));
  ASSERT_TRUE(program.says("ready\n"));
  program.signal(SIGTERM);
  EXPECT_EQ(program.wait(), 6);
  EXPECT_EQ(program.out(), "ready\nlast words\n");
  expect_clean_end(program);
}

// More than the ring and the pipe hold together, and a reader that is late: with --rm all of it arrives.
TEST_F(ForegroundTest, ALateReaderGetsEverything) {
  constexpr size_t kMuch = 3'000'000;
  StartedProgram program(
      shell_run({"-f", "--rm", "--buffer", "64K"}, "head -c " + std::to_string(kMuch) + " /dev/zero"));
  Task task(program.pid(), pool().path());
  ASSERT_TRUE(eventually([&] {
    Error reason;
    return task.connect(reason);
  }));
  ASSERT_TRUE(wait_limit(task, "stdout", 64 * 1024));
  EXPECT_TRUE(task.info(true)["pid"] == program.pid()) << "it answers while its stdout is full";
  task.disconnect();
  EXPECT_EQ(program.wait(), 0);
  EXPECT_EQ(program.out().size(), kMuch);
  expect_clean_end(program);
}

TEST_F(ForegroundTest, AReaderThatLeavesDoesNotEndTheTask) {
  StartedProgram program(awkward_run({"-f", "--rm"}, {"drum", "1000"}));
  ASSERT_TRUE(program.says("\n"));
  program.close_stdout();
  Task task(program.pid(), pool().path());
  const uint64_t limit = task.stream("stdout").limit();
  EXPECT_TRUE(wait_limit(task, "stdout", limit + 1000)) << "nor hold it up";
  task.disconnect();
  program.signal(SIGTERM);
  EXPECT_EQ(program.wait(), 143);
}

TEST_F(ForegroundTest, ForwardsToFilesAndSockets) {
  const auto file = base() / "out";
  const int out = open(file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  {
    StartedProgram program(shell_run({"-f", "--rm"}, "head -c 300000 /dev/zero"), {.out = out});
    EXPECT_EQ(program.wait(), 0);
  }
  close(out);
  EXPECT_EQ(read_whole(file).size(), 300'000u);
  // A service manager's journal is a socket.
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  StartedProgram program(shell_run({"-f", "--rm"}, "echo to the journal; exit 2"), {.out = ends[1]});
  close(ends[1]);
  EXPECT_EQ(program.wait(), 2);
  char text[64] = {};
  EXPECT_EQ(std::string(text, static_cast<size_t>(std::max<ssize_t>(read(ends[0], text, sizeof text), 0))),
            "to the journal\n");
  close(ends[0]);
}

TEST_F(ForegroundTest, ACommandThatCannotBeRunIsToldByWordAndStatus) {
  ProgramResult result = run_program(run({}, {"/nonexistent/program"}));
  EXPECT_EQ(result.status, 127);
  EXPECT_NE(result.err.find("bgtask: "), std::string::npos);
  EXPECT_NE(result.err.find("/nonexistent/program"), std::string::npos) << result.err;
  EXPECT_EQ(run_program(run({}, {"/etc/passwd"})).status, 126);
  EXPECT_EQ(run_program(run({"-w", "/nonexistent"}, {"true"})).status, 125);
  EXPECT_EQ(names_in(pool().path()), std::vector<std::string>());
}

TEST_F(ForegroundTest, APidThatCannotBePrintedIsSaidOnStderr) {
  const int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
  StartedProgram program(awkward_run({"--wait", "--rm"}, {"sleep"}), {.out = full});
  close(full);
  EXPECT_TRUE(program.says_on_stderr(std::to_string(program.pid()))) << program.err();
  program.signal(SIGTERM);
  EXPECT_EQ(program.wait(), 143);
}

TEST_F(ForegroundTest, NoDescriptorOfTheCallersIsLeftToIt) {
  const int leaked = open("/etc/passwd", O_RDONLY);  // not close-on-exec
  StartedProgram program(awkward_run({}, {"sleep"}));
  close(leaked);
  ASSERT_TRUE(program.says("\n"));
  for (const std::string& name : names_in("/proc/" + std::to_string(program.pid()) + "/fd")) {
    std::error_code gone_meanwhile;
    EXPECT_NE(std::filesystem::read_symlink("/proc/" + std::to_string(program.pid()) + "/fd/" + name,
                                            gone_meanwhile),
              "/etc/passwd");
  }
  program.signal(SIGTERM);
  EXPECT_EQ(program.wait(), 0);
}

TEST_F(ForegroundTest, WaitingWithoutRemovingIsRefused) {
  for (const char* option : {"--wait", "-f"}) {
    const ProgramResult result = run_program(run({option}, {"true"}));
    EXPECT_EQ(result.status, 125);
    EXPECT_NE(result.err.find("--rm"), std::string::npos) << result.err;
  }
}

}  // namespace
}  // namespace bgtask::e2e
