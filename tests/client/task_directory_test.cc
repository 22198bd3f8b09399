#include "client/src/task_directory.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "tests/client/support.h"

namespace bgtask {
namespace {

namespace fs = std::filesystem;
using test::in_child;
using test::kNobody;
using test::name_child;
using test::Sleeper;
using test::status_document;

class OpenPool : public test::PoolTest {
 protected:
  std::string error(const fs::path& path) {
    const Result<PoolDirectory> opened = open_pool(path);
    return opened ? "" : std::string(word(opened.error().code));
  }
  void mode(mode_t mode) { ASSERT_EQ(::chmod(path().c_str(), mode), 0); }
};

TEST_F(OpenPool, OpensWhatIsOnesOwn) {
  const Result<PoolDirectory> opened = open_pool(path());
  ASSERT_TRUE(opened) << opened.error().message;
  EXPECT_EQ(opened->path, path());
  EXPECT_EQ(opened->owner, ::geteuid());
}

TEST_F(OpenPool, TakesSymlinkedParentsButNoSymlinkedPool) {
  fs::create_directory(path() / "real");
  fs::create_directory(path() / "real/pool");
  fs::create_directory_symlink("real", path() / "parent");
  fs::create_directory_symlink("real/pool", path() / "pool");
  EXPECT_EQ(error(path() / "parent/pool"), "");
  EXPECT_EQ(error(path() / "pool"), "unsafe_pool");
  EXPECT_EQ(error((path() / "pool").string() + "/"), "unsafe_pool");
  EXPECT_EQ(error((path() / "pool").string() + "/./"), "unsafe_pool");
}

TEST_F(OpenPool, TakesTrailingSlashesAndRelativePaths) {
  const fs::path before = fs::current_path();
  EXPECT_EQ(error(path().string() + "//"), "");
  fs::current_path(path().parent_path());
  EXPECT_EQ(error(path().filename()), "");
  EXPECT_EQ(error(path().filename().string() + "/"), "");
  const Result<PoolDirectory> opened = open_pool(path().filename());
  fs::current_path(path());
  EXPECT_EQ(error("."), "");
  fs::current_path(before);
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->path, path());
}

TEST_F(OpenPool, NamesWhatIsWrong) {
  write_file(path() / "file", "");
  EXPECT_EQ(error(path() / "none"), "not_found");
  EXPECT_EQ(error(path() / "file"), "unsafe_pool");
  EXPECT_EQ(error(path() / "file/pool"), "not_found");
  EXPECT_EQ(error(""), "bad_argument");
  EXPECT_EQ(error("/" + std::string(5000, 'x')), "path_too_long");
}

TEST_F(OpenPool, RefusesOneThatOthersMayWrite) {
  for (const mode_t unsafe : {0720, 0702, 0777, 01777}) {
    mode(unsafe);
    EXPECT_EQ(error(path()), "unsafe_pool") << std::oct << unsafe;
  }
  mode(0755);
  EXPECT_EQ(error(path()), "");
}

TEST_F(OpenPool, RootMayOpenAnybodysOthersOnlyTheirOwnAndRoots) {
  ASSERT_EQ(::chown(path().c_str(), 1234, static_cast<gid_t>(-1)), 0);
  mode(0755);
  const Result<PoolDirectory> by_root = open_pool(path());
  ASSERT_TRUE(by_root);
  EXPECT_EQ(by_root->owner, 1234u);
  const auto error_is = [this](std::string_view expected) { return error(path()) == expected ? 0 : 1; };
  EXPECT_EQ(in_child([&] { return error_is(""); }, 1234), 0);
  EXPECT_EQ(in_child([&] { return error_is("unsafe_pool"); }, kNobody), 0);
  mode(0700);
  EXPECT_EQ(in_child([&] { return error_is("denied"); }, kNobody), 0);
  ASSERT_EQ(::chown(path().c_str(), 0, static_cast<gid_t>(-1)), 0);
  mode(0755);
  EXPECT_EQ(in_child([&] { return error_is(""); }, kNobody), 0);
}

TEST(DefaultPoolPath, FollowsTheEnvironmentAndTheUser) {
  const auto path_is = [](const char* expected) {
    const auto path = default_pool_path();
    return path && *path == expected ? 0 : 1;
  };
  EXPECT_EQ(in_child([&] { return ::unsetenv("BGTASK_POOL"), path_is("/var/run/bgtask"); }), 0);
  EXPECT_EQ(in_child([&] { return ::setenv("BGTASK_POOL", "/some/pool/", 1), path_is("/some/pool"); }), 0);
  const auto as_user = [&](const char* runtime_dir) {
    ::unsetenv("BGTASK_POOL");
    ::unsetenv("XDG_RUNTIME_DIR");
    if (runtime_dir != nullptr) ::setenv("XDG_RUNTIME_DIR", runtime_dir, 1);
  };
  EXPECT_EQ(in_child([&] { return as_user("/run/user/7"), path_is("/run/user/7/bgtask"); }, 4321), 0);
  const auto says_how = [&] {
    as_user(nullptr);
    const auto path = default_pool_path();
    return !path && path.error().code == ErrorCode::kNotFound &&
                   path.error().message.find("BGTASK_POOL") != std::string::npos
               ? 0
               : 1;
  };
  EXPECT_EQ(in_child(says_how, 4321), 0);
}

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
}  // namespace bgtask
