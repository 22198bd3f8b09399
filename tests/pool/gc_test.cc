#include <bgtask/task_pool.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "protocol/wire/codec.h"
#include "protocol/wire/launch.h"
#include "tests/pool/support.h"

namespace bgtask {
namespace {

using test::HandMadePool;
using test::kSomeUser;

constexpr time_t kLongAgo = 3600;

void age(const std::filesystem::path& path, time_t seconds) {
  timespec then[2] = {{::time(nullptr) - seconds, 0}, {::time(nullptr) - seconds, 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), then, AT_SYMLINK_NOFOLLOW), 0);
}

Json living_child() {
  return {{"child_pid", ::getpid()}, {"supervision", test::supervision_of(::getpid())}};
}

TEST(Gc, RemovesDeadTasksAndNothingElse) {
  HandMadePool dir;
  dir.add("101", true);
  dir.add("102", false);
  dir.add("103", false, living_child());
  dir.add("104", false, {{"status", {{"state", "exited"}}}});
  dir.add_unpublished("105", true);
  dir.add_unpublished("106", false);
  EXPECT_EQ(TaskPool(dir.path()).gc(), (std::vector<pid_t>{102, 104, 106}));
  for (const char* name : {"101", "103", "105"})
    EXPECT_TRUE(dir.exists(name)) << name;
  auto left = std::filesystem::directory_iterator(dir.path());
  EXPECT_EQ(std::distance(begin(left), end(left)), 3);
}

TEST(Gc, AChildsPidThatIsAnothersNowIsNoChild) {
  HandMadePool dir;
  Json child = living_child();
  child["supervision"]["child_start"] = 1;
  dir.add("101", false, child);
  child = living_child();
  child["supervision"]["boot_id"] = "another";
  dir.add("102", false, child);
  EXPECT_EQ(TaskPool(dir.path()).gc(), (std::vector<pid_t>{101, 102}));
}

// A process that lives until it is destroyed, with the token of a task in its environment.
class ProcessOfTask {
 public:
  explicit ProcessOfTask(const std::string& token) {
    std::string variable = "BGTASK_TOKEN=" + token;
    char sleep[] = "/bin/sleep", time[] = "1000";
    char* argv[] = {sleep, time, nullptr};
    char* envp[] = {variable.data(), nullptr};
    EXPECT_EQ(::posix_spawn(&pid_, sleep, nullptr, nullptr, argv, envp), 0);
  }
  ~ProcessOfTask() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }

 private:
  pid_t pid_ = -1;
};

TEST(Gc, ATaskOfWhichAProcessIsLeftStays) {
  HandMadePool dir;
  const auto add_with_token = [&dir](const std::string& name, const std::string& token) {
    dir.add(name, false);
    wire::LaunchSpec spec;
    spec.exec = {"x"};
    spec.token = token;
    dir.write(name, "launch", wire::encode_msgpack(wire::to_json(spec)));
  };
  add_with_token("101", "tokenoftheone");
  add_with_token("102", "tokenoftheother");
  dir.add("103", false);
  dir.write("103", "launch", "garbage");
  {
    const ProcessOfTask process("tokenoftheone");
    EXPECT_EQ(TaskPool(dir.path()).gc(), (std::vector<pid_t>{102, 103}));
  }
  EXPECT_EQ(TaskPool(dir.path()).gc(), std::vector<pid_t>{101});
}

TEST(Gc, ATaskIsRemovedOnceItHasDied) {
  HandMadePool dir;
  dir.add("101", true);
  TaskPool pool(dir.path());
  EXPECT_TRUE(pool.gc().empty());
  dir.kill("101");
  EXPECT_EQ(pool.gc(), std::vector<pid_t>{101});
  EXPECT_TRUE(pool.gc().empty());
}

TEST(Gc, WhatCannotBeUnderstoodStays) {
  HandMadePool dir;
  dir.add("101", false);
  dir.write("101", "status", "garbage");
  dir.add("102", false);
  std::filesystem::remove(dir.entry("102") / "lock");
  dir.add("103", false);
  ASSERT_EQ(::chown(dir.entry("103").c_str(), kSomeUser, kSomeUser), 0);
  dir.add("104", false);
  std::filesystem::remove(dir.entry("104") / "lock");
  ASSERT_EQ(::mkfifo((dir.entry("104") / "lock").c_str(), 0600), 0);
  dir.add("elsewhere", false);
  std::filesystem::create_directory_symlink("elsewhere", dir.entry("105"));
  dir.add("106", false);
  std::filesystem::create_directory(dir.entry("106") / "sub");
  std::vector<pid_t> removed = TaskPool(dir.path()).gc();
  EXPECT_TRUE(removed.empty());
  for (const char* name : {"101", "102", "103", "104", "105", "elsewhere"})
    EXPECT_TRUE(dir.exists(name)) << name;
}

TEST(Gc, RemainsWithADeadLockGo) {
  HandMadePool dir;
  dir.add_unpublished(".tmp-dead", false);
  dir.add(".del-101-dead", false);
  dir.add_unpublished(".tmp-alive", true);
  dir.add(".del-102-alive", true);
  dir.add(".del-103-child", false, living_child());
  dir.add(".something-else", false);
  EXPECT_TRUE(TaskPool(dir.path()).gc().empty());
  for (const char* name : {".tmp-dead", ".del-101-dead"})
    EXPECT_FALSE(dir.exists(name)) << name;
  for (const char* name : {".tmp-alive", ".del-102-alive", ".del-103-child", ".something-else"}) {
    EXPECT_TRUE(dir.exists(name)) << name;
  }
}

TEST(Gc, RemainsWithoutALockGoWhenTheyAreOld) {
  HandMadePool dir;
  for (const char* name : {".tmp-new", ".tmp-old", ".tmp-future"}) {
    dir.add_unpublished(name, false);
    std::filesystem::remove(dir.entry(name) / "lock");
    dir.write(name, "stdout", "x");
  }
  age(dir.entry(".tmp-old"), kLongAgo);
  age(dir.entry(".tmp-future"), -kLongAgo);
  TaskPool(dir.path()).gc();
  EXPECT_TRUE(dir.exists(".tmp-new"));
  EXPECT_TRUE(dir.exists(".tmp-future"));
  EXPECT_FALSE(dir.exists(".tmp-old"));
}

TEST(Gc, HostileRemainsRedirectNothing) {
  HandMadePool dir;
  test::TempDir victim;
  std::filesystem::create_directory(victim.path() / "d");
  io::UniqueFd(::open((victim.path() / "d/file").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  std::filesystem::create_directory_symlink(victim.path() / "d", dir.entry(".del-link"));
  dir.add_unpublished(".del-inner", false);
  std::filesystem::create_directory_symlink(victim.path() / "d", dir.entry(".del-inner") / "link");
  dir.add_unpublished(".del-foreign", false);
  ASSERT_EQ(::chown(dir.entry(".del-foreign").c_str(), kSomeUser, kSomeUser), 0);
  age(victim.path() / "d", kLongAgo);
  TaskPool(dir.path()).gc();
  EXPECT_TRUE(std::filesystem::exists(victim.path() / "d/file"));
  EXPECT_FALSE(dir.exists(".del-inner"));
  EXPECT_TRUE(dir.exists(".del-foreign"));
}

}  // namespace
}  // namespace bgtask
