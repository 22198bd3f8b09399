#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "protocol/taskdir/pool_listing.h"
#include "tests/client/support.h"

namespace bgtask::taskdir {
namespace {

namespace fs = std::filesystem;
using test::in_child;
using test::kNobody;
using test::name_child;
using test::Sleeper;
using test::status_document;

class ListIds : public test::PoolTest {};

TEST_F(ListIds, GivesNumbersInOrderAndNamesTheRest) {
  for (const pid_t id : {100, 20, 3})
    make_task(id);
  for (const char* name : {"notes", "007", "1x", "99999999999999", "-5", ".hidden"}) {
    fs::create_directory(path() / name);
  }
  std::vector<std::string> strange;
  const Result<std::vector<pid_t>> ids = list_ids(pool(), &strange);
  ASSERT_TRUE(ids);
  EXPECT_EQ(*ids, (std::vector<pid_t>{3, 20, 100}));
  std::sort(strange.begin(), strange.end());
  EXPECT_EQ(strange, (std::vector<std::string>{"-5", "007", "1x", "99999999999999", "notes"}));
}

TEST_F(ListIds, ThePoolsOfUsersInRootsAreToldFromTasks) {
  make_task(10);
  fs::create_directory(path() / "1234");
  ASSERT_EQ(::chown((path() / "1234").c_str(), 1234, static_cast<gid_t>(-1)), 0);
  std::vector<std::string> strange;
  EXPECT_EQ(list_ids(pool(), &strange).value(), (std::vector<pid_t>{10, 1234}));
  EXPECT_TRUE(strange.empty());
  EXPECT_TRUE(is_user_pool(pool(), 1234));
  EXPECT_FALSE(is_user_pool(pool(), 10));
  write_file(path() / "1234/lock", "");  // now it pretends to be a task of root's
  EXPECT_FALSE(is_user_pool(pool(), 1234));
  fs::remove(path() / "1234/lock");
  EXPECT_EQ(find_task(pool(), 1234).error().code, ErrorCode::kNotFound);
}

class FindTask : public test::PoolTest {
 protected:
  pid_t find(pid_t pid) {
    const Result<TaskDirectory> found = find_task(pool(), pid);
    return found ? found->id : 0;
  }
};

TEST_F(FindTask, FindsBySupervisorThenChildThenFormerPid) {
  Sleeper child;
  Json status = status_document(10);
  name_child(status, child.pid());
  make_task(10, status);
  Json adopted = status_document(11);
  adopted["former_pids"] = {7, 8};
  make_task(11, adopted);
  make_task(12);  // not started yet
  EXPECT_EQ(find(10), 10);
  EXPECT_EQ(find(child.pid()), 10);
  EXPECT_EQ(find(7), 11);
  EXPECT_EQ(find(8), 11);
  EXPECT_EQ(find(12), 12);
  EXPECT_EQ(find(9), 0);
  child.kill();
  EXPECT_EQ(find(child.pid()), 0) << "a zombie is no child any more";
}

TEST_F(FindTask, ALivingChildGoesBeforeAFormerPid) {
  Sleeper child;
  Json adopted = status_document(10);
  adopted["former_pids"] = {child.pid()};
  make_task(10, adopted);
  Json status = status_document(11);
  name_child(status, child.pid());
  make_task(11, status);
  EXPECT_EQ(find(child.pid()), 11);
}

TEST_F(FindTask, HostileEntriesDoNotHoldItUp) {
  fs::create_directory_symlink("/proc", path() / "20");
  make_task(21);
  ASSERT_EQ(::mkfifo((task_path(21) / "status").c_str(), 0600), 0);
  make_task(22);
  write_file(task_path(22) / "status", std::string(100'000, '['));
  make_task(23);
  write_file(task_path(23) / "status", R"({"child_pid": "x", "former_pids": 5, "supervision": []})");
  make_task(24, {{"former_pids", {7}}});
  EXPECT_EQ(find(7), 24);
  EXPECT_EQ(find(8), 0);
}

}  // namespace
}  // namespace bgtask::taskdir
