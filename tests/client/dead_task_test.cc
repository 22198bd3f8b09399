#include "client/src/dead_task.h"

#include <bgtask/task.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <string>

#include "tests/client/support.h"

namespace bgtask {
namespace {

namespace fs = std::filesystem;
using test::name_child;
using test::Sleeper;
using test::status_document;

class DeadTask : public test::PoolTest {
 protected:
  std::string remove(pid_t id) {
    const PoolDirectory in = pool();
    Status removed = remove_dead_task(in, std::move(*open_task(in, id)));
    return removed ? "" : std::string(word(removed.error().code));
  }
  bool pool_is_empty() { return fs::directory_iterator(path()) == fs::directory_iterator(); }
};

TEST_F(DeadTask, IsRemovedWithEverythingInIt) {
  make_task(10, status_document(10));
  make_rings(10, "x");
  write_file(task_path(10) / "unknown file", "x");
  fs::create_symlink("/etc/passwd", task_path(10) / "link");
  EXPECT_EQ(remove(10), "");
  EXPECT_TRUE(pool_is_empty());
  EXPECT_TRUE(fs::exists("/etc/passwd"));
}

TEST_F(DeadTask, ALinkedDirectoryIsNotEntered) {
  fs::create_directory(path() / "elsewhere");
  write_file(path() / "elsewhere/precious", "x");
  make_task(10, status_document(10));
  fs::create_directory_symlink("../elsewhere", task_path(10) / "stdout");
  EXPECT_EQ(remove(10), "");
  EXPECT_TRUE(fs::exists(path() / "elsewhere/precious"));
}

TEST_F(DeadTask, ADirectoryInItIsNotEnteredEither) {
  make_task(10, status_document(10));
  fs::create_directory(task_path(10) / "deeper");
  write_file(task_path(10) / "deeper/file", "x");
  EXPECT_NE(remove(10), "");
  int found = 0;
  for (const auto& entry : fs::recursive_directory_iterator(path()))
    found += entry.path().filename() == "file";
  EXPECT_EQ(found, 1);
}

TEST_F(DeadTask, OneThatLivesIsLeftAlone) {
  make_task(10, status_document(10));
  {
    const io::UniqueFd held = hold_lock(10);
    EXPECT_EQ(remove(10), "running");
  }
  EXPECT_TRUE(fs::exists(task_path(10) / "status"));
  Sleeper child;
  Json status = status_document(11);
  name_child(status, child.pid());
  make_task(11, status);
  EXPECT_EQ(remove(11), "running");
  EXPECT_TRUE(fs::exists(task_path(11) / "status"));
  child.kill();
  EXPECT_EQ(remove(11), "");
}

TEST_F(DeadTask, AnotherTaskUnderItsNameIsLeftAlone) {
  make_task(10, status_document(10));
  const PoolDirectory in = pool();
  Result<TaskDirectory> task = open_task(in, 10);
  fs::rename(task_path(10), path() / "aside");
  make_task(10, status_document(10));
  const Status removed = remove_dead_task(in, std::move(*task));
  ASSERT_FALSE(removed);
  EXPECT_EQ(removed.error().code, ErrorCode::kNotFound);
  EXPECT_TRUE(fs::exists(task_path(10) / "status"));
}

TEST_F(DeadTask, WithoutALockItIsNotTouched) {
  make_task(10, status_document(10));
  fs::remove(task_path(10) / "lock");
  EXPECT_NE(remove(10), "");
  EXPECT_TRUE(fs::exists(task_path(10) / "status"));
}

TEST_F(DeadTask, TaskRemoveDoesItAndHandsBackTheOutput) {
  make_task(10, status_document(10));
  make_rings(10, "hello world", "oops", 6);
  const RemoveReceipt receipt = Task(10, path()).remove({.collect = true});
  EXPECT_EQ(receipt.signalled, 0u);
  EXPECT_TRUE(receipt.survivors.empty());
  ASSERT_EQ(receipt.output.size(), 5u);
  EXPECT_EQ(receipt.output[0].stream, "stdout");
  EXPECT_EQ(receipt.output[0].data, "world");
  EXPECT_EQ(receipt.output[0].offset, 6u);
  EXPECT_EQ(receipt.output[1].stream, "stderr");
  EXPECT_EQ(receipt.output[1].data, "oops");
  EXPECT_EQ(receipt.output[4].data, "three");
  EXPECT_TRUE(pool_is_empty());
}

TEST_F(DeadTask, TaskRemoveAdvisesToAdoptWhereTheChildLives) {
  Sleeper child;
  Json status = status_document(10);
  name_child(status, child.pid());
  make_task(10, status);
  Task task(10, path());
  try {
    task.remove();
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), "running");
    EXPECT_NE(std::string(error.what()).find("adopt"), std::string::npos);
  }
}

}  // namespace
}  // namespace bgtask
