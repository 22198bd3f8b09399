#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "protocol/taskdir/task_directory.h"
#include "tests/client/support.h"

namespace bgtask::taskdir {
namespace {

namespace fs = std::filesystem;
using test::in_child;
using test::kNobody;
using test::name_child;
using test::Sleeper;
using test::status_document;

class OpenTask : public test::PoolTest {
 protected:
  std::string error(pid_t id) {
    const Result<TaskDirectory> opened = open_task(pool(), id);
    return opened ? "" : std::string(word(opened.error().code));
  }
};

TEST_F(OpenTask, OpensByName) {
  make_task(10);
  const Result<TaskDirectory> task = open_task(pool(), 10);
  ASSERT_TRUE(task) << task.error().message;
  EXPECT_EQ(task->id, 10);
  EXPECT_EQ(task->owner, ::geteuid());
}

TEST_F(OpenTask, RefusesWhatIsNotATask) {
  make_task(10);
  fs::create_directory_symlink("10", path() / "11");
  write_file(path() / "12", "");
  ASSERT_EQ(::mkfifo((path() / "13").c_str(), 0600), 0);
  make_task(14);
  fs::permissions(task_path(14), fs::perms::all);
  make_task(15);
  ASSERT_EQ(::chown(task_path(15).c_str(), 1234, static_cast<gid_t>(-1)), 0);
  EXPECT_EQ(error(9), "not_found");
  EXPECT_EQ(error(-1), "not_found");
  EXPECT_EQ(error(0), "not_found");
  for (const pid_t hostile : {11, 12, 13, 14, 15})
    EXPECT_EQ(error(hostile), "denied") << hostile;
}

TEST_F(OpenTask, RootsTasksAreTakenInAUsersPool) {
  make_task(10);
  make_task(11);
  ASSERT_EQ(::chown(path().c_str(), 1234, static_cast<gid_t>(-1)), 0);
  ASSERT_EQ(::chown(task_path(11).c_str(), 1234, static_cast<gid_t>(-1)), 0);
  EXPECT_EQ(error(10), "");
  EXPECT_EQ(error(11), "");
}

}  // namespace
}  // namespace bgtask::taskdir
