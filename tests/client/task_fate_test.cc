#include "client/src/task_fate.h"

#include <gtest/gtest.h>

#include "tests/client/support.h"

namespace bgtask {
namespace {

namespace fs = std::filesystem;
using Directory = FateFacts::Directory;
using Lock = FateFacts::Lock;
using test::status_document;

constexpr pid_t kId = 10;

TEST(FateTest, FollowsFromDirectoryLockAndProcess) {
  const struct {
    const char* name;
    FateFacts facts;
    Fate expected;
  } cases[] = {
      {"no directory", {Directory::kGone, Lock::kGone, false, false}, Fate::kRemoved},
      {"no directory, later", {Directory::kGone, Lock::kGone, true, true}, Fate::kRemoved},
      {"the lock is removed", {Directory::kThere, Lock::kGone, false, false}, Fate::kRemoved},
      {"the lock is free", {Directory::kThere, Lock::kFree, false, false}, Fate::kLost},
      {"the lock is held, the process may be ending",
       {Directory::kThere, Lock::kHeld, false, false},
       Fate::kUnclear},
      {"the lock is held, the process has ended",
       {Directory::kThere, Lock::kHeld, true, false},
       Fate::kUnclear},
      {"another holds the lock for good", {Directory::kThere, Lock::kHeld, true, true}, Fate::kLost},
      {"the process goes on", {Directory::kThere, Lock::kHeld, false, true}, Fate::kSupervised},
      {"adopted", {Directory::kRenamed, Lock::kHeld, false, false}, Fate::kLost},
      {"dead and moved aside", {Directory::kRenamed, Lock::kFree, true, false}, Fate::kLost},
  };
  for (const auto& c : cases)
    EXPECT_EQ(fate_of(c.facts), c.expected) << c.name;
}

class WhereaboutsTest : public test::PoolTest {
 protected:
  WhereaboutsTest() {
    make_task(kId, status_document(kId));
    place.pool = std::make_shared<const PoolDirectory>(pool());
    const Result<TaskDirectory> task = open_task(*place.pool, kId);
    place.id = kId;
    place.identity = task->identity;
  }
  Whereabouts found() const { return std::move(find_whereabouts(place)).value(); }
  void rename_to(pid_t id, const Json& status) {
    fs::rename(task_path(kId), task_path(id));
    write_file(task_path(id) / "status", status.dump());
  }
  TaskPlace place;
};

TEST_F(WhereaboutsTest, TellWhetherTheLockIsHeld) {
  EXPECT_EQ(found().lock, Lock::kFree);
  const io::UniqueFd lock = hold_lock(kId);
  EXPECT_EQ(found().state, Directory::kThere);
  EXPECT_EQ(found().lock, Lock::kHeld);
  fs::remove(task_path(kId) / "lock");
  EXPECT_EQ(found().lock, Lock::kGone);
}

TEST_F(WhereaboutsTest, FindARenamedDirectoryByItsFormerId) {
  Json status = status_document(20);
  status["former_pids"] = {3, kId};
  rename_to(20, status);
  const Whereabouts renamed = found();
  EXPECT_EQ(renamed.state, Directory::kRenamed);
  EXPECT_EQ(renamed.directory->id, 20);
}

TEST_F(WhereaboutsTest, FindOneWhoseAdopterHasNotPublishedYet) {
  rename_to(20, status_document(kId));
  EXPECT_EQ(found().state, Directory::kRenamed);
}

TEST_F(WhereaboutsTest, DoNotTakeAnotherTaskForIt) {
  rename_to(20, status_document(20));
  EXPECT_EQ(found().state, Directory::kGone) << "its inode was used again";
  make_task(kId, status_document(kId));
  EXPECT_EQ(found().state, Directory::kGone) << "another task has its pid";
}

TEST_F(WhereaboutsTest, AHiddenDirectoryIsBeingRemoved) {
  fs::rename(task_path(kId), path() / ".del-10-0");
  EXPECT_EQ(found().state, Directory::kGone);
}

}  // namespace
}  // namespace bgtask
