// restart: the same task, another run.
#include "tests/e2e/fixture.h"

namespace bgtask::e2e {
namespace {

using RestartTest = E2eTest;

TEST_F(RestartTest, OffsetsGoOnAndRunsGrow) {
  const std::string counter = (base() / "counter").string();
  Task task = shell("echo x >> " + counter +
                    "; printf hello; printf oops >&2; printf m >&$BGTASK_DATA_FD; "
                    "exit $(wc -l < " +
                    counter + ")");
  EXPECT_EQ(wait_exit(task)["exit_code"], 1);
  wait_eof(task);
  const Json before = task.info(true);
  EXPECT_EQ(before["runs"], 1);
  EXPECT_EQ(task.stream("stdout").read().data, "hello");
  EXPECT_TRUE(task.restart());
  EXPECT_EQ(wait_exit(task)["exit_code"], 2);
  wait_eof(task);
  const Json after = task.info(true);
  EXPECT_EQ(after["runs"], 2);
  EXPECT_EQ(after["pid"], before["pid"]);
  EXPECT_EQ(after["command"], before["command"]);
  EXPECT_GE(after["started_at"].get<double>(), before["ended_at"].get<double>());
  EXPECT_EQ(after["streams"]["stdout"]["limit"], 10);
  EXPECT_EQ(after["streams"]["stdout"]["consumed"], 5);
  EXPECT_EQ(after["streams"]["stderr"]["limit"], 8);
  EXPECT_EQ(after["streams"]["data"]["limit"], 2);
  const ReadResult second = task.stream("stdout").read();
  EXPECT_EQ(second.offset, 5u);
  EXPECT_EQ(second.data, "hello");
  EXPECT_EQ(task.stream("stderr").read().data, "oopsoops");
  EXPECT_EQ(task.stream("data").messages().size(), 2u);
}

TEST_F(RestartTest, OfARunningTaskDoesNothingAndSaysSo) {
  Task task = awkward({"sleep"});
  const pid_t child = child_of(task);
  EXPECT_FALSE(task.restart());
  EXPECT_EQ(child_of(task), child);
  RawClient client(socket_of(task));
  EXPECT_EQ(client.result("restart"), (Json{{"restarted", false}, {"child_pid", child}}));
  task.pause();
  EXPECT_FALSE(task.restart());
  EXPECT_EQ(task.info(true)["runs"], 1);
}

TEST_F(RestartTest, StdinIsNew) {
  Task task = awkward({"echo"});
  task.stream("stdin").write_all("first");
  task.stream("stdin").close();
  wait_exit(task);
  ASSERT_TRUE(task.restart());
  task.stream("stdin").write_all("second");
  task.stream("stdin").close();
  EXPECT_EQ(wait_exit(task)["exit_code"], 0);
  wait_eof(task);
  EXPECT_EQ(task.stream("stdout").read().data, "firstsecond");
}

TEST_F(RestartTest, TheStatusIsOfTheNewRun) {
  Task task = awkward({"sleep"});
  task.kill("KILL");
  EXPECT_EQ(wait_exit(task)["signal"], "KILL");
  ASSERT_TRUE(task.restart());
  const Json info = task.info(true);
  EXPECT_EQ(info["status"]["state"], "running");
  EXPECT_EQ(info["status"]["running"], true);
  EXPECT_EQ(info["status"]["signal"], nullptr);
  EXPECT_EQ(info["ended_at"], nullptr);
  EXPECT_TRUE(info["child_pid"].is_number());
  EXPECT_EQ(info["streams"]["stdout"]["eof"], false);
  EXPECT_EQ(task.snapshot()["status"], info["status"]);
}

TEST_F(RestartTest, ThatCannotExecSaysWhyAndTheTaskStaysExited) {
  const std::filesystem::path program = base() / "program";
  std::filesystem::copy_file("/bin/true", program);
  Task task = spawn({.exec = {program.string()}});
  wait_exit(task);
  std::filesystem::remove(program);
  const Error error = error_of([&] { task.restart(); });
  EXPECT_EQ(error.code(), "exec_failed");
  EXPECT_EQ(error.os_error(), ENOENT);
  EXPECT_EQ(task.info(true)["status"]["state"], "exited");
  std::filesystem::copy_file("/bin/true", program);
  EXPECT_TRUE(task.restart());
  EXPECT_EQ(wait_exit(task)["exit_code"], 0);
}

TEST_F(RestartTest, IsRefusedWhileDescendantsOfTheLastRunAreAliveUnlessForced) {
  Task task = awkward({"family", "leave"});
  const auto family = family_of(task, 3);
  wait_exit(task);
  EXPECT_EQ(task.info(true)["descendants"], 3);
  const Error error = error_of([&] { task.restart(); });
  EXPECT_EQ(error.code(), "running");
  EXPECT_NE(std::string(error.what()).find("3 descendants"), std::string::npos) << error.what();
  EXPECT_NE(std::string(error.what()).find("force"), std::string::npos) << error.what();
  EXPECT_EQ(task.info(true)["runs"], 1);
  const std::string pid = std::to_string(task.pid());
  EXPECT_EQ(bgtask({"restart", pid}).status, 125);
  EXPECT_EQ(bgtask({"restart", "--force", pid}).status, 0);
  wait_exit(task);
  EXPECT_EQ(task.info(true)["runs"], 2);
  ASSERT_TRUE(eventually([&] { return task.info(true)["descendants"] == 6; }))
      << "the former three are left alone";
  EXPECT_TRUE(task.restart({.force = true}));
  wait_exit(task);
  EXPECT_EQ(task.stop().signalled, 9u);
  EXPECT_TRUE(task.restart()) << "nothing of the last run is left";
}

TEST_F(RestartTest, FiftyTimesLosesNothing) {
  Task task = shell("printf 0123456789");
  for (int run = 1; run <= 50; ++run) {
    ASSERT_EQ(wait_exit(task)["exit_code"], 0);
    ASSERT_EQ(task.stream("stdout").limit(), 10u * static_cast<unsigned>(run));
    ASSERT_EQ(task.restart(), true);
  }
  wait_exit(task);
  EXPECT_EQ(task.info(true)["runs"], 51);
  EXPECT_EQ(task.stream("stdout").read().data.size(), 510u);
}

}  // namespace
}  // namespace bgtask::e2e
