// `run --wait` and `run -f`: staying with a task.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "tests/e2e/fixture.h"
#include "tests/e2e/started_program.h"

namespace bgtask::e2e {
namespace {

class StayTest : public E2eTest {
 protected:
  static std::vector<std::string> run(std::vector<std::string> options, const std::string& text) {
    options.insert(options.begin(), {BGTASK_PROGRAM, "run"});
    options.insert(options.end(), {"-c", text});
    return options;
  }
  Task only_task() const {
    EXPECT_TRUE(eventually([this] { return pool().search(Json::object()).size() == 1; }));
    return pool().search(Json::object()).at(0);
  }
  bool pool_is_empty() const { return names_in(pool().path()).empty(); }
};

const std::string kUntilTerm = "; while :; do sleep 0.02; done";

TEST_F(StayTest, StreamsStayApart) {
  const ProgramResult result = run_program(run({"-f", "--rm"}, "echo out; echo err >&2; exit 3"));
  EXPECT_EQ(result.status, 3);
  EXPECT_EQ(result.out, "out\n");
  EXPECT_TRUE(result.err.starts_with("bgtask: task ")) << result.err;
  EXPECT_TRUE(result.err.ends_with("\nerr\n")) << result.err;
}

TEST_F(StayTest, StdinIsPassedOnAndItsEnd) {
  const ProgramResult result = run_program(run({"-f", "-i", "--rm"}, "sort"), {.input = "pear\napple\n"});
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.out, "apple\npear\n");
}

// More than every queue on the way holds, both ways.
TEST_F(StayTest, MuchPassesThroughWhileOutputIsPrinted) {
  const std::string much(6'000'000, 'x');
  const ProgramResult result = run_program(run({"-f", "-i", "--rm"}, "cat"), {.input = much});
  EXPECT_EQ(result.status, 0);
  EXPECT_TRUE(result.out == much) << result.out.size();
}

TEST_F(StayTest, StdinThatTheTaskClosesIsNoFailure) {
  StartedProgram program(run({"-f", "-i", "--rm"}, "exec <&-; echo closed; sleep 0.1; exit 2"));
  ASSERT_TRUE(program.says("closed"));
  program.send("nobody reads this\n");
  EXPECT_EQ(program.wait(), 2);
}

TEST_F(StayTest, StdinThatIsNotPassedOnIsToldOnlyWhereThereIsSomething) {
  EXPECT_NE(run_program(run({"-f", "--rm"}, "cat; sleep 0.3"), {.input = "data"}).err.find("use -i"),
            std::string::npos);
  EXPECT_EQ(run_program(run({"-f", "--rm"}, "cat; sleep 0.3")).err.find("-i"), std::string::npos)
      << "an empty pipe is what cron and CI runners give";
  const int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
  StartedProgram quiet(run({"-f", "--rm"}, "cat"), {.in = null});
  close(null);
  EXPECT_EQ(quiet.wait(), 0);
  EXPECT_EQ(quiet.err().find("-i"), std::string::npos) << quiet.err();
}

TEST_F(StayTest, AnInterruptLeavesTheTaskAndSaysHowToReturn) {
  StartedProgram program(run({"-f"}, "echo ready" + kUntilTerm));
  ASSERT_TRUE(program.says("ready"));
  program.signal(SIGINT);
  EXPECT_EQ(program.wait(), 130);
  Task task = only_task();
  EXPECT_NE(program.err().find("bgtask logs -f " + std::to_string(task.pid())), std::string::npos)
      << program.err();
  EXPECT_EQ(task.info(true)["status"]["state"], "running");
}

TEST_F(StayTest, AnInterruptWithRmStopsAndRemovesTheTask) {
  for (int signal : {SIGINT, SIGTERM}) {
    StartedProgram program(
        run({"-f", "--rm"}, "trap 'echo last words; exit 6' TERM; echo ready" + kUntilTerm));
    ASSERT_TRUE(program.says("ready"));
    program.signal(signal);
    EXPECT_EQ(program.wait(), 6) << program.err();
    EXPECT_EQ(program.out(), "ready\nlast words\n");
    EXPECT_EQ(program.err().find("not_found"), std::string::npos) << program.err();
    EXPECT_TRUE(pool_is_empty());
  }
}

TEST_F(StayTest, ATaskDeletedBySomebodyElseEndsWithItsOwnStatus) {
  for (const char* how : {"--wait", "-f"}) {
    StartedProgram program(run({how}, "echo ready" + kUntilTerm));
    Task task = only_task();
    ASSERT_TRUE(wait_limit(task, "stdout", 6));
    task.disconnect();
    EXPECT_EQ(bgtask({"delete", "-a"}).status, 0);
    EXPECT_EQ(program.wait(), 143) << how << program.err();
    EXPECT_EQ(program.err().find("no task"), std::string::npos) << program.err();
    EXPECT_EQ(program.err().find("lost"), std::string::npos) << program.err();
  }
}

TEST_F(StayTest, GivingUpLeavesTheTaskAndSaysHowToReturn) {
  for (const std::vector<std::string>& options :
       {std::vector<std::string>{"--wait"}, std::vector<std::string>{"-f", "--rm"}}) {
    std::vector<std::string> all = {"--wait-timeout", "0.2"};
    all.insert(all.end(), options.begin(), options.end());
    const ProgramResult result = run_program(run(all, "sleep 1000"));
    EXPECT_EQ(result.status, 124);
    Task task = only_task();
    EXPECT_NE(result.err.find("bgtask logs -f " + std::to_string(task.pid())), std::string::npos)
        << result.err;
    EXPECT_EQ(task.info(true)["status"]["state"], "running");
    task.remove();
  }
}

TEST_F(StayTest, ATimeLimitEndsTheTask) {
  EXPECT_EQ(run_program(run({"--wait", "--timeout", "0.3"}, "sleep 1000")).status, 124);
  Task task = only_task();
  EXPECT_EQ(task.info(true)["status"]["state"], "exited");
  EXPECT_EQ(task.info()["status"]["reason"], "timeout");
  EXPECT_EQ(bgtask({"wait", std::to_string(task.pid())}).status, 124);
  task.remove();

  const ProgramResult asked =
      run_program(run({"-f", "--timeout", "0.3", "--stop-signal", "INT", "--stop-timeout", "60"},
                      "trap 'echo asked; exit 7' INT" + kUntilTerm));
  EXPECT_EQ(asked.status, 124);
  EXPECT_EQ(asked.out, "asked\n");
  EXPECT_EQ(only_task().info()["status"]["exit_code"], 7);
  EXPECT_EQ(run_program({BGTASK_PROGRAM, "run", "--behavior", "foreground", "--wait", "--rm", "--timeout",
                         "0.3", "sleep", "1000"})
                .status,
            124);
  EXPECT_EQ(run_program(run({"--stop-signal", "NONE"}, "true")).status, 125);
}

TEST_F(StayTest, AReaderThatLeavesEndsItWithinASecondAlsoInSilence) {
  StartedProgram program(run({"-f"}, "echo ready; sleep 1000"));
  ASSERT_TRUE(program.says("ready"));
  program.close_stdout();
  EXPECT_EQ(program.wait(Milliseconds(5'000)), 128 + SIGPIPE);
  Task task = only_task();
  EXPECT_EQ(task.info(true)["status"]["state"], "running");
  task.remove();

  StartedProgram removing(run({"-f", "--rm"}, "echo ready; sleep 1000"));
  ASSERT_TRUE(removing.says("ready"));
  removing.close_stdout();
  EXPECT_EQ(removing.wait(), 128 + SIGPIPE);
  EXPECT_TRUE(pool_is_empty()) << "--rm removes it in any case";
}

TEST_F(StayTest, APidThatCannotBePrintedWithdrawsTheTask) {
  const int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
  StartedProgram program(run({}, "sleep 1000"), {.out = full});
  close(full);
  EXPECT_EQ(program.wait(), 125);
  EXPECT_NE(program.err().find("withdrawn"), std::string::npos) << program.err();
  EXPECT_TRUE(pool_is_empty());

  const ProgramResult closed =
      run_program({"/bin/sh", "-c", std::string("exec ") + BGTASK_PROGRAM + " run sleep 1000 >&-"});
  EXPECT_EQ(closed.status, 125);
  EXPECT_NE(closed.err.find("withdrawn"), std::string::npos) << closed.err;
  EXPECT_TRUE(pool_is_empty());

  StartedProgram unread(run({}, "sleep 1000"));
  unread.close_stdout();
  const int status = unread.wait();
  EXPECT_TRUE(status == 125 || status == 0) << "it may have printed before";
}

TEST_F(StayTest, ATaskThatWasThereBeforeStaysWhereItsPidCannotBePrinted) {
  const std::string pid = bgtask({"run", "-n", "once", "sleep", "1000"}).out;
  const int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
  StartedProgram program({BGTASK_PROGRAM, "run", "-n", "once", "--if-exists", "attach", "sleep", "1000"},
                         {.out = full});
  close(full);
  EXPECT_EQ(program.wait(), 125);
  EXPECT_NE(program.err().find(pid.substr(0, pid.size() - 1)), std::string::npos) << program.err();
  EXPECT_EQ(only_task().info()["status"]["state"], "running");
}

}  // namespace
}  // namespace bgtask::e2e
