#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <thread>

#include "protocol/taskdir/liveness.h"
#include "protocol/taskdir/names.h"
#include "tests/client/support.h"

namespace bgtask::taskdir {
namespace {

namespace fs = std::filesystem;
using test::in_child;
using test::kNobody;
using test::name_child;
using test::Sleeper;
using test::status_document;

class SupervisorAlive : public test::PoolTest {
 protected:
  Result<bool> alive(pid_t id) { return supervisor_alive(*open_task(pool(), id)); }
};

TEST_F(SupervisorAlive, IsWhatTheLockSays) {
  make_task(10);
  EXPECT_EQ(alive(10).value(), false);
  {
    const io::UniqueFd held = hold_lock(10);
    EXPECT_EQ(alive(10).value(), true);
  }
  EXPECT_EQ(alive(10).value(), false);
}

TEST_F(SupervisorAlive, AnErrorIsNotDead) {
  make_task(10);
  fs::remove(task_path(10) / "lock");
  EXPECT_EQ(alive(10).error().code, ErrorCode::kNotFound);
  ASSERT_EQ(::mkfifo((task_path(10) / "lock").c_str(), 0600), 0);
  EXPECT_EQ(alive(10).error().code, ErrorCode::kDenied);
  fs::remove(task_path(10) / "lock");
  fs::create_symlink("/etc/passwd", task_path(10) / "lock");
  EXPECT_FALSE(alive(10));
  fs::remove(task_path(10) / "lock");
  write_file(task_path(10) / "lock", "");
  ASSERT_EQ(::chown((task_path(10) / "lock").c_str(), 1234, static_cast<gid_t>(-1)), 0);
  EXPECT_EQ(alive(10).error().code, ErrorCode::kDenied);
}

TEST(ChildAlive, AReusedPidIsNotTheChild) {
  Sleeper child;
  Json document = status_document(10);
  name_child(document, child.pid());
  const StatusDocument status = decode(document);
  EXPECT_EQ(child_alive(status.child_pid, status.supervision), true);
  StatusDocument other_start = status;
  other_start.supervision->child_start = 1;
  EXPECT_EQ(child_alive(status.child_pid, other_start.supervision), false);
  StatusDocument other_boot = status;
  other_boot.supervision->boot_id = "00000000-0000-0000-0000-000000000000";
  EXPECT_EQ(child_alive(status.child_pid, other_boot.supervision), false);
  EXPECT_EQ(child_alive(std::nullopt, status.supervision), false);
  EXPECT_EQ(child_alive(status.child_pid, std::nullopt), false);
}

class TakeLock : public test::PoolTest {
 protected:
  std::string take(bool at_once) {
    const Result<TaskDirectory> task = open_task(pool(), 10);
    const Result<io::UniqueFd> lock =
        at_once ? take_lock_at_once(task->fd.get(), "task 10") : take_lock(task->fd.get(), "task 10");
    return lock ? "" : std::string(word(lock.error().code));
  }
};

TEST_F(TakeLock, TakesTheLockOfADeadTaskOnly) {
  make_task(10);
  EXPECT_EQ(take(true), "");
  EXPECT_EQ(take(false), "");
  const io::UniqueFd held = hold_lock(10);
  EXPECT_EQ(take(true), "running");
  EXPECT_EQ(take(false), "running");
}

TEST_F(TakeLock, WaitsForAProbeToLetGo) {
  make_task(10);
  io::UniqueFd probe(::open((task_path(10) / kLock).c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_EQ(::flock(probe.get(), LOCK_SH | LOCK_NB), 0);
  EXPECT_EQ(take(true), "running");
  std::thread end_of_probe([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    probe.reset();
  });
  EXPECT_EQ(take(false), "");
  end_of_probe.join();
}

TEST_F(TakeLock, NamesAMissingAndAnIrregularLock) {
  make_task(10);
  fs::remove(task_path(10) / kLock);
  EXPECT_EQ(take(true), "not_found");
  ASSERT_EQ(::mkfifo((task_path(10) / kLock).c_str(), 0600), 0);
  EXPECT_EQ(take(true), "denied");
}

TEST_F(TakeLock, AMadeLockIsHeldUntilItIsClosed) {
  make_task(10);
  fs::remove(task_path(10) / kLock);
  const Result<TaskDirectory> task = open_task(pool(), 10);
  {
    const Result<io::UniqueFd> made = make_lock(task->fd.get());
    ASSERT_TRUE(made) << made.error().message;
    EXPECT_EQ(supervisor_alive(*task).value(), true);
    EXPECT_EQ(make_lock(task->fd.get()).error().code, ErrorCode::kExists);
    fs::remove(task_path(10) / kFreshLock);
  }
  EXPECT_EQ(supervisor_alive(*task).value(), false);
}

}  // namespace
}  // namespace bgtask::taskdir
