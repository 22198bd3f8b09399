// Exit codes and signals are exact, and never lost.
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <set>

#include "tests/e2e/fixture.h"

namespace bgtask::e2e {
namespace {

using ExitTest = E2eTest;

/// Runs `count` tasks, `width` of them at a time.
void in_waves(int count, int width, const std::function<Task(int)>& start,
              const std::function<void(int, Task&)>& check) {
  for (int first = 0; first < count; first += width) {
    std::vector<Task> wave;
    for (int i = first; i < std::min(count, first + width); ++i)
      wave.push_back(start(i));
    for (size_t i = 0; i < wave.size(); ++i)
      check(first + static_cast<int>(i), wave[i]);
  }
}

TEST_F(ExitTest, EveryCodeIsReportedExactly) {
  in_waves(
      256, 32,
      [this](int code) {
        return awkward({"exit", std::to_string(code)});
      },
      [this](int code, Task& task) {
        const Json status = wait_exit(task);
        EXPECT_EQ(status["exit_code"], code);
        EXPECT_EQ(status["state"], "exited");
        EXPECT_EQ(status["running"], false);
        EXPECT_EQ(status["paused"], false);
        EXPECT_EQ(status["signal"], nullptr);
        EXPECT_EQ(status["core_dumped"], false);
        EXPECT_EQ(task.info(true)["status"], status);
        EXPECT_EQ(task.snapshot()["status"], status);
        task.remove();
      });
}

std::vector<int> fatal_signals() {
  const std::set<int> harmless = {SIGCHLD, SIGCONT, SIGURG, SIGWINCH, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU};
  std::vector<int> fatal;
  for (int signal = 1; signal <= 64; ++signal) {
    if (harmless.count(signal) == 0) fatal.push_back(signal);
  }
  return fatal;
}

std::set<std::string> names_of(int signal) {
  if (signal == SIGPOLL) return {"POLL", "IO"};
  if (signal == 34) return {"RTMIN", "RTMIN+0"};
  if (signal > 34) return {"RTMIN+" + std::to_string(signal - 34)};
  if (signal > 31) return {std::to_string(signal)};  // glibc's own two have no name
  return {sigabbrev_np(signal)};
}

TEST_F(ExitTest, EveryFatalSignalIsReportedExactly) {
  const std::vector<int> signals = fatal_signals();
  in_waves(
      static_cast<int>(signals.size()), 16,
      [&](int i) {
        return awkward({"signal", std::to_string(signals[static_cast<size_t>(i)])},
                       {.limits = {{"core", 0}}});
      },
      [&](int i, Task& task) {
        const int signal = signals[static_cast<size_t>(i)];
        const Json status = wait_exit(task);
        EXPECT_EQ(status["exit_code"], nullptr) << signal;
        ASSERT_TRUE(status["signal"].is_string()) << signal << status;
        EXPECT_EQ(names_of(signal).count(status["signal"].get<std::string>()), 1u)
            << signal << status["signal"];
        EXPECT_EQ(status["state"], "exited");
        EXPECT_EQ(status["core_dumped"], false);
      });
}

TEST_F(ExitTest, ACoreDumpIsReportedWhereTheKernelMadeOne) {
  // Whether it does is a matter of the machine: the same death without bgtask says.
  std::filesystem::create_directory(base() / "cores");
  const pid_t pid = fork();
  if (pid == 0) {
    const rlimit unlimited{RLIM_INFINITY, RLIM_INFINITY};
    if (chdir((base() / "cores").c_str()) != 0 || setrlimit(RLIMIT_CORE, &unlimited) != 0) _exit(1);
    execl(AWKWARD_PROGRAM, AWKWARD_PROGRAM, "signal", "6", nullptr);
    _exit(1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(pid, &status, 0), pid);
  ASSERT_TRUE(WIFSIGNALED(status)) << "this test needs to raise RLIMIT_CORE";
  Task task = awkward({"signal", "6"},
                      {.cwd = (base() / "cores").string(), .limits = {{"core", ResourceLimit::kUnlimited}}});
  const Json seen = wait_exit(task);
  EXPECT_EQ(seen["signal"], "ABRT");
  EXPECT_EQ(seen["core_dumped"], static_cast<bool>(WCOREDUMP(status)));
}

TEST_F(ExitTest, AThousandShortTasksLoseNeitherTheByteNorTheStatus) {
  in_waves(
      1000, 50, [this](int) { return shell("printf x; exit 3"); },
      [this](int i, Task& task) {
        ASSERT_EQ(wait_exit(task)["exit_code"], 3) << i;
        ASSERT_EQ(task.stream("stdout").read().data, "x") << i;
        const RemoveReceipt receipt = task.remove();
        EXPECT_EQ(receipt.signalled, 0u);
        EXPECT_TRUE(receipt.survivors.empty());
      });
  EXPECT_EQ(names_in(pool().path()), std::vector<std::string>());
}

TEST_F(ExitTest, IsSeenAtOnceWhileAGrandchildHoldsStdoutAndItsLaterBytesToo) {
  const std::filesystem::path gate = make_fifo("gate");
  Task task = awkward({"hold", gate.string(), "7"});
  const Json status = wait_exit(task);  // the grandchild cannot go on before the gate opens
  EXPECT_EQ(status["exit_code"], 7);
  EXPECT_EQ(status["running"], false);
  const Json info = task.info(true);
  EXPECT_EQ(info["status"]["state"], "exited");
  EXPECT_EQ(info["child_pid"], nullptr);
  EXPECT_EQ(info["descendants"], 1);
  EXPECT_EQ(info["streams"]["stdout"]["eof"], false);
  ReadResult early = task.stream("stdout").read();
  EXPECT_EQ(early.data, "early\n");
  EXPECT_FALSE(early.eof);

  std::ofstream(gate) << "go";
  wait_eof(task);
  const ReadResult late = task.stream("stdout").read();
  EXPECT_EQ(late.data, "late\n");
  EXPECT_EQ(late.offset, 6u);
  EXPECT_TRUE(late.eof);
  EXPECT_TRUE(eventually([&] { return task.info(true)["descendants"] == 0; }));
}

TEST_F(ExitTest, ManyWaitersAllLearnIt) {
  Task task = awkward({"puppet"});
  std::vector<std::unique_ptr<RawClient>> waiters;
  for (int i = 0; i < 20; ++i) {
    waiters.push_back(
        std::make_unique<RawClient>(socket_of(task), i % 2 ? Encoding::kJson : Encoding::kMsgpack));
    waiters.back()->request("wait", {{"for", {"exit"}}});
  }
  task.stream("stdin").write_all("exit 9\n");
  for (auto& waiter : waiters) {
    const auto reply = waiter->receive();
    ASSERT_TRUE(reply.has_value());
    EXPECT_EQ((*reply)["result"]["fired"], "exit");
    EXPECT_EQ((*reply)["result"]["status"]["exit_code"], 9);
  }
}

TEST_F(ExitTest, WaitGivesUpAfterItsTimeout) {
  Task task = awkward({"sleep"});
  const WaitResult result = task.wait({.cursor = 5, .timeout = Seconds(0.05)});
  EXPECT_EQ(result.fired, "timeout");
  EXPECT_EQ(result.next, 5u);
  EXPECT_EQ(result.status["state"], "running");
  EXPECT_EQ(bgtask({"wait", "--timeout", "0.05", std::to_string(task.pid())}).status, 124);
}

TEST_F(ExitTest, TheCommandLineEndsAsTheTaskDid) {
  Task coded = awkward({"exit", "42"});
  EXPECT_EQ(bgtask({"wait", std::to_string(coded.pid())}).status, 42);
  Task signalled = awkward({"signal", "15"});
  EXPECT_EQ(bgtask({"wait", std::to_string(signalled.pid())}).status, 128 + 15);
  EXPECT_EQ(bgtask({"run", "--wait", "--", AWKWARD_PROGRAM, "exit", "43"}).status, 43);
}

}  // namespace
}  // namespace bgtask::e2e
