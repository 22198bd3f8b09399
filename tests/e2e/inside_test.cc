// What a command can do from inside its task without knowing a pid.
#include "tests/e2e/fixture.h"

namespace bgtask::e2e {
namespace {

using InsideTest = E2eTest;

const std::string kBgtask = BGTASK_PROGRAM;

TEST_F(InsideTest, MetaIsSetAndSeen) {
  Task task = shell(kBgtask + " meta colour=blue step=2 && " + kBgtask + " meta step-");
  const Json status = wait_exit(task);
  EXPECT_EQ(status["exit_code"], 0) << task.stream("stderr").read().data;
  EXPECT_EQ(task.info(true)["meta"]["colour"], "blue");
  EXPECT_FALSE(task.info()["meta"].contains("step"));
}

TEST_F(InsideTest, EmitSendsOneMessage) {
  Task task = shell(kBgtask + " emit '{\"progress\": 10}'; printf 'from stdin' | " + kBgtask + " emit; " +
                    kBgtask + " emit ''");
  const Json status = wait_exit(task);
  EXPECT_EQ(status["exit_code"], 0) << task.stream("stderr").read().data;
  ASSERT_TRUE(wait_limit(task, "data", 3));
  const MessagesResult messages = task.stream("data").messages();
  EXPECT_EQ(messages.messages.at(0).data, "{\"progress\": 10}");
  EXPECT_EQ(messages.messages.at(1).data, "from stdin");
  EXPECT_EQ(messages.messages.at(2).data, "");
}

TEST_F(InsideTest, AShellWritesToTheDataChannelItself) {
  Task task = shell("echo '{\"a\":1}' >&$BGTASK_DATA_FD; printf '%s\\n' second >&$BGTASK_DATA_FD");
  EXPECT_EQ(wait_exit(task)["exit_code"], 0) << task.stream("stderr").read().data;
  ASSERT_TRUE(wait_limit(task, "data", 2));
  const MessagesResult messages = task.stream("data").messages();
  EXPECT_EQ(messages.messages.at(0).data, "{\"a\":1}\n");
  EXPECT_EQ(messages.messages.at(1).data, "second\n");
}

TEST_F(InsideTest, TheTaskIsThereFromTheFirstInstruction) {
  for (int i = 0; i < 20; ++i) {
    Task task = spawn({.exec = {BGTASK_PROGRAM, "meta", "i=" + std::to_string(i)}});
    EXPECT_EQ(wait_exit(task)["exit_code"], 0) << task.stream("stderr").read().data;
    EXPECT_TRUE(matches({{"meta", {{"i", i}}}}, task.info(true)));
    task.remove();
  }
}

TEST_F(InsideTest, ATaskCanAskAboutItselfAndEvenDeleteItself) {
  Task task = shell("test \"$(" + kBgtask + " info -o json $BGTASK_PID | grep -c running)\" != 0 && exit 6");
  EXPECT_EQ(wait_exit(task)["exit_code"], 6) << task.stream("stderr").read().data;
  Task suicidal = shell(kBgtask + " delete $BGTASK_PID; sleep 1000");
  EXPECT_TRUE(eventually([&] { return gone(suicidal.pid()); }));
  EXPECT_FALSE(std::filesystem::exists(directory_of(suicidal)));
}

TEST_F(InsideTest, OutsideThereIsNoSelf) {
  unsetenv("BGTASK_PID");
  EXPECT_EQ(error_of([] { Task::self(); }).code(), "not_found");
  EXPECT_EQ(bgtask({"meta", "a=b"}).status, 125);
  EXPECT_EQ(bgtask({"emit", "text"}).status, 125);
}

}  // namespace
}  // namespace bgtask::e2e
