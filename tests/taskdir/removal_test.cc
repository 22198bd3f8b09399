#include "protocol/taskdir/removal.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <set>
#include <string>

#include "protocol/taskdir/names.h"
#include "tests/client/support.h"

namespace bgtask::taskdir {
namespace {

namespace fs = std::filesystem;

class Removal : public test::PoolTest {
 protected:
  void SetUp() override {
    make_task(10, test::status_document(10));
    make_rings(10, "x");
    open("10");
  }
  void open(const std::string& name) {
    pool_.reset(::open(path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    directory_.reset(::openat(pool_.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    place_ = {pool_.get(), directory_.get(), name};
  }
  std::set<std::string> names() const {
    std::set<std::string> found;
    for (const auto& entry : fs::directory_iterator(path()))
      found.insert(entry.path().filename());
    return found;
  }

  io::UniqueFd pool_;
  io::UniqueFd directory_;
  Place place_{};
};

TEST_F(Removal, RemovesTheFilesAndTheDirectory) {
  EXPECT_TRUE(remove(place_));
  EXPECT_TRUE(names().empty());
  EXPECT_TRUE(is_hidden(place_.name));
}

TEST_F(Removal, OfAHiddenDirectoryNeedsNoOtherName) {
  fs::rename(task_path(10), path() / ".tmp-x");
  open(".tmp-x");
  EXPECT_TRUE(remove(place_));
  EXPECT_TRUE(names().empty());
  EXPECT_EQ(place_.name, ".tmp-x");
}

TEST_F(Removal, GivesTheNameBackWhereAFileStays) {
  fs::create_directory(task_path(10) / "deeper");
  const Status removed = remove(place_);
  ASSERT_FALSE(removed);
  EXPECT_NE(removed.error().message.find("deeper"), std::string::npos);
  EXPECT_EQ(place_.name, "10");
  EXPECT_EQ(names(), std::set<std::string>{"10"});
  EXPECT_TRUE(fs::exists(task_path(10) / kLock)) << "the lock is the last to go";
  fs::remove(task_path(10) / "deeper");
  EXPECT_TRUE(remove(place_)) << "and it may be tried again";
  EXPECT_TRUE(names().empty());
}

TEST_F(Removal, LeavesANameAloneThatIsAnotherDirectorys) {
  fs::rename(task_path(10), path() / "aside");
  make_task(10, test::status_document(10));
  EXPECT_FALSE(in_place(place_).value());
  EXPECT_TRUE(remove(place_));
  EXPECT_EQ(names(), (std::set<std::string>{"10", "aside"}));
  EXPECT_TRUE(fs::exists(task_path(10) / kStatus));
  EXPECT_TRUE(fs::is_empty(path() / "aside"));
}

TEST_F(Removal, OfADirectoryThatIsGoneSucceeds) {
  fs::remove_all(task_path(10));
  EXPECT_FALSE(in_place(place_).value());
  EXPECT_TRUE(remove(place_));
}

TEST_F(Removal, FollowsNoLink) {
  write_file(path() / "precious", "x");
  fs::create_symlink("../precious", task_path(10) / "link");
  EXPECT_TRUE(remove(place_));
  EXPECT_EQ(names(), std::set<std::string>{"precious"});
}

}  // namespace
}  // namespace bgtask::taskdir
