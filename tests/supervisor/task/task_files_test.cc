#include "supervisor/task/task_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

namespace bgtask::supervisor {
namespace {

namespace fs = std::filesystem;

class TaskFilesTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/dev/shm/bgtask-files-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    pool_ = name;
  }
  void TearDown() override { fs::remove_all(pool_); }

  io::UniqueFd open_pool() const {
    return io::UniqueFd(::open(pool_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }
  TaskFiles make(std::string name = ".tmp-new") const {
    return TaskFiles::create(open_pool(), std::move(name), std::nullopt).value();
  }
  size_t entries() const {
    return static_cast<size_t>(std::distance(fs::directory_iterator(pool_), fs::directory_iterator()));
  }

  fs::path pool_;
};

TEST_F(TaskFilesTest, HiddenUntilPublishedGoneWhenRemoved) {
  TaskFiles files = make();
  ASSERT_EQ(entries(), 1u);
  EXPECT_EQ(fs::directory_iterator(pool_)->path().filename().string().front(), '.');
  ASSERT_TRUE(files.write_launch("launch"));
  ASSERT_TRUE(files.listen(Endpoint::kControl));
  ASSERT_TRUE(files.publish(4711));
  EXPECT_TRUE(fs::exists(pool_ / "4711" / "socket"));
  struct stat st {};
  ASSERT_EQ(::stat((pool_ / "4711").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 07777, 0700u);
  ASSERT_EQ(::stat((pool_ / "4711" / "socket").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 07777, 0600u);
  ASSERT_TRUE(files.remove());
  EXPECT_EQ(entries(), 0u);
}

// A task that can be seen is never without its socket.
TEST_F(TaskFilesTest, APublishedSocketIsReplacedByAnother) {
  TaskFiles files = make();
  const auto first = files.listen(Endpoint::kControl);
  ASSERT_TRUE(first);
  EXPECT_TRUE(files.in_place(Endpoint::kControl));
  ASSERT_TRUE(files.publish(4711));
  const auto second = files.listen(Endpoint::kControl);
  ASSERT_TRUE(second);
  EXPECT_TRUE(files.in_place(Endpoint::kControl));
  EXPECT_FALSE(fs::exists(pool_ / "4711" / "socket.new"));
  struct stat st {};
  ASSERT_EQ(::stat((pool_ / "4711" / "socket").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 07777, 0600u);
}

TEST_F(TaskFilesTest, TheLockIsHeldAndLetGo) {
  {
    TaskFiles files = make();
    ASSERT_TRUE(files.publish(4711));
    EXPECT_EQ(TaskFiles::take_over(open_pool(), 4711).error().code, ErrorCode::kRunning);
  }
  EXPECT_TRUE(TaskFiles::take_over(open_pool(), 4711));
}

TEST_F(TaskFilesTest, ADeadTaskOfTheSamePidIsMovedAsideWhole) {
  {
    TaskFiles dead = make();
    ASSERT_TRUE(dead.publish(4711));
    ASSERT_TRUE(dead.write_status({{"pid", 4711}, {"former_pids", Json::array()}, {"mark", "old"}}));
  }
  TaskFiles files = make();
  ASSERT_TRUE(files.publish(4711));
  EXPECT_FALSE(fs::exists(pool_ / "4711" / "status"));
  ASSERT_EQ(entries(), 2u);
  int aside = 4 * 1024 * 1024 + 1;
  TaskFiles old = TaskFiles::take_over(open_pool(), aside).value();
  Json status = old.read_status().value();
  EXPECT_EQ(status["mark"], "old");
  EXPECT_EQ(status["pid"], aside);
  EXPECT_EQ(status["former_pids"], Json::array({4711}));
}

TEST_F(TaskFilesTest, WhatIsNotADeadTaskIsNeverMoved) {
  ASSERT_EQ(::mkdir((pool_ / "1000").c_str(), 0700), 0);  // such as another user's pool
  TaskFiles files = make();
  EXPECT_EQ(files.publish(1000).error().code, ErrorCode::kExists);
  TaskFiles living = make(".tmp-living");
  ASSERT_TRUE(living.publish(1001));
  EXPECT_EQ(files.publish(1001).error().code, ErrorCode::kExists);
}

TEST_F(TaskFilesTest, StatusIsReplacedWhole) {
  TaskFiles files = make();
  ASSERT_TRUE(files.write_status({{"n", 1}}));
  int before = ::openat(files.directory(), "status", O_RDONLY | O_CLOEXEC);
  ASSERT_TRUE(files.write_status({{"n", 2}}));
  char text[64] = {};
  EXPECT_GT(::read(before, text, sizeof text), 0);
  EXPECT_STREQ(text, "{\"n\":1}\n") << "whoever had it open keeps the old one";
  ::close(before);
  EXPECT_EQ(files.read_status().value()["n"], 2);
}

TEST_F(TaskFilesTest, MemoryFileSystemsAreNotDisks) {
  EXPECT_FALSE(make().on_disk());
}

}  // namespace
}  // namespace bgtask::supervisor
