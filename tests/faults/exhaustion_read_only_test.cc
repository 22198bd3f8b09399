// The pool's file system is not writable: typed errors, running tasks unharmed, recovery.
#include <algorithm>

#include "tests/faults/fault_test.h"

namespace bgtask::faults {
namespace {

using e2e::error_of;
using e2e::error_word;
using e2e::names_in;

class ReadOnlyPool : public FaultTest {
  bool wants_bystander() const override { return false; }
};

TEST_F(ReadOnlyPool, G1_G8_SpawnIsReadOnlyAndLeavesNothing) {
  remount("ro");
  for (int round = 0; round < scaled(3, 100); ++round) {
    EXPECT_EQ(error_of([&] { shell("true"); }).code(), "read_only");
    EXPECT_TRUE(names_in(pool().path()).empty());
  }
  const e2e::ProgramResult run = bgtask({"run", "--", "/bin/true"});
  EXPECT_EQ(run.status, 125);
  EXPECT_NE(run.err.find("Read-only"), std::string::npos) << run.err;
  EXPECT_EQ(bgtask({"ls"}).status, 0);
  EXPECT_TRUE(pool().gc().empty());
  remount("size=256m");
  Task task = shell("true");
  EXPECT_EQ(wait_exit(task)["exit_code"], 0);
}

TEST_F(ReadOnlyPool, G7_G8_ADeadTaskIsReadButNotAdoptedOrRemoved) {
  Task task = shell("echo kept; exec sleep 1000");
  ASSERT_TRUE(wait_limit(task, "stdout", 5));
  const pid_t child = child_of(task);
  kill_supervisor(task);
  ASSERT_TRUE(e2e::send_signal(child, SIGKILL));
  ASSERT_TRUE(eventually([&] { return e2e::gone(child); }));
  remount("ro");
  ASSERT_EQ(pool().search(Json::object()).size(), 1u);
  EXPECT_EQ(task.snapshot()["status"]["state"], "lost");
  EXPECT_EQ(task.stream("stdout").peek().data, "kept\n");
  EXPECT_EQ(error_of([&] { pool().adopt(task.pid()); }).code(), "read_only");
  EXPECT_EQ(error_of([&] { task.remove(); }).code(), "read_only");
  EXPECT_TRUE(pool().gc().empty());
  remount("size=256m");
  EXPECT_EQ(task.stream("stdout").peek().data, "kept\n");
  EXPECT_EQ(pool().gc(), std::vector<pid_t>{task.pid()});
}

constexpr char kWritesRefused[] = "inject=renameat,renameat2,unlinkat,mkdirat:error=EROFS";

class ReadOnlyMeanwhile : public FaultTest {};

TEST_F(ReadOnlyMeanwhile, G8_ARunningTaskWorksOnAndPublishesLater) {
  Task task = awkward({"puppet"});
  {
    Attached tracer(task.pid(), {"-e", kWritesRefused});
    task.apply_meta({{"note", "kept back"}});
    EXPECT_EQ(task.info(true)["meta"]["note"], "kept back");
    task.stream("stdin").write_all("out hello\nexit 3\n");
    EXPECT_EQ(wait_exit(task)["exit_code"], 3);
    EXPECT_EQ(task.stream("stdout").read().data, "hello\n");
    EXPECT_EQ(pool().search({{"status", {{"state", "running"}}}}).size(), 2u) << "nothing could be published";
  }
  EXPECT_TRUE(eventually([&] {
    return pool().search({{"status", {{"exit_code", 3}}}, {"meta", {{"note", "kept back"}}}}).size() == 1;
  }));
}

TEST_F(ReadOnlyMeanwhile, G6_G8_DeleteIsReadOnlyAndCanBeTriedAgain) {
  Task task = awkward({"puppet"});
  const pid_t supervisor = task.pid();
  {
    Attached tracer(supervisor, {"-e", kWritesRefused});
    EXPECT_EQ(error_of([&] { task.remove({.grace = Seconds(0)}); }).code(), "read_only");
    EXPECT_EQ(task.info(true)["status"]["state"], "exited") << "its processes ended, it is not deleted";
  }
  task.remove();
  EXPECT_TRUE(e2e::gone(supervisor));
  EXPECT_EQ(names_in(pool().path()), std::vector<std::string>{std::to_string(bystander().pid())});
}

// TERM means delete. A signal is not repeated, so the supervisor retries.
TEST_F(ReadOnlyMeanwhile, G6_G8_AnUnaskedDeleteIsTriedAgain) {
  Task task = awkward({"puppet"});
  e2e::RawClient client(socket_of(task));
  {
    Attached tracer(task.pid(), {"-e", kWritesRefused});
    ASSERT_TRUE(e2e::send_signal(task.pid(), SIGTERM));
    EXPECT_EQ(client.result("wait")["status"]["signal"], "TERM");
    EXPECT_EQ(client.result("ping"), "pong") << "it could not remove the files, and stays";
  }
  EXPECT_TRUE(eventually([&] { return e2e::gone(task.pid()); }));
  EXPECT_EQ(names_in(pool().path()), std::vector<std::string>{std::to_string(bystander().pid())});
}

}  // namespace
}  // namespace bgtask::faults
