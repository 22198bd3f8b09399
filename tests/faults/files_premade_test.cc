// Directories that another user has prepared or puts in a task's place: in a user's pool that user may create
// and rename anything, and root works there too.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/faults/files_fixture.h"

namespace bgtask::faults {
namespace {

constexpr pid_t kFirst = 20'000;

class FilesPremade : public FilesTest {
 protected:
  void SetUp() override {
    FilesTest::SetUp();
    path_ = pool_of(kOwner);
    theirs_.emplace(path_, public_options());
  }
  void TearDown() override {
    theirs_.reset();
    FilesTest::TearDown();
  }
  /// Root's view of the other user's pool.
  const TaskPool& theirs() const { return *theirs_; }
  const std::filesystem::path& path() const { return path_; }

  /// Creates entries of the user under the next `count` pids, one of each type.
  void occupy(int count) {
    for (int i = 0; i < count; ++i) {
      const std::filesystem::path name = path_ / std::to_string(kFirst + i);
      constexpr int kTypes = std::size(kEveryEntry);
      if (i % (kTypes + 1) < kTypes) {
        make_entry(name, kEveryEntry[i % (kTypes + 1)], kOwner);
      } else {
        make_task_like(name);
      }
    }
  }
  /// Looks like a dead task, whose lock is free.
  void make_task_like(const std::filesystem::path& name) {
    ASSERT_EQ(::mkdir(name.c_str(), 0700), 0);
    e2e::write_whole(name / "lock", "");
    e2e::write_whole(name / "status", R"({"pid": 1, "status": {"state": "running"}})");
    e2e::write_whole(name / "remains", "theirs");
    for (const char* file : {"", "lock", "status", "remains"})
      ASSERT_EQ(::chown((name / file).c_str(), kOwner, kOwner), 0);
  }
  void sweep() const {
    for (const std::string& name : e2e::names_in(path_))
      std::filesystem::remove_all(path_ / name);
  }

 private:
  std::filesystem::path path_;
  std::optional<TaskPool> theirs_;
};

TEST_F(FilesPremade, G1_G10_ASpawnPassesOverNamesThatAreTaken) {
  for (int type = 0; type < 10; ++type) {
    // The pids that one attempt uses: the supervisor's and those of its starters.
    for (int i = 0; i < 3; ++i) {
      const std::filesystem::path name = path() / std::to_string(kFirst + i);
      if (type < 9) {
        make_entry(name, kEveryEntry[type], kOwner);
      } else {
        make_task_like(name);
      }
    }
    const auto before = picture_of(path());
    choose_next_pid(kFirst);
    Task task = theirs().spawn({.exec = {"/bin/sleep", "1000"}, .cwd = "/"});
    EXPECT_GE(task.pid(), kFirst + 3) << "an entry was used: " << type;
    EXPECT_LT(task.pid(), kFirst + 100);
    EXPECT_EQ(task.info(true)["uid"], 0);
    EXPECT_EQ(task.info()["status"]["state"], "running");
    task.remove();
    EXPECT_EQ(picture_of(path()), before) << "what was there is as it was";
    sweep();
  }
}

TEST_F(FilesPremade, G1_G10_WhereAllNamesAreTakenTheSpawnFailsAndTouchesNothing) {
  occupy(200);
  const auto before = picture_of(path());
  choose_next_pid(kFirst);
  EXPECT_EQ(e2e::error_of([&] { theirs().spawn({.exec = {"/bin/true"}, .cwd = "/"}); }).code(), "exists");
  EXPECT_EQ(picture_of(path()), before);
  EXPECT_TRUE(eventually([] { return other_processes().size() == 2; })) << "only the bystander is left";
  sweep();
}

TEST_F(FilesPremade, G10_HiddenNamesOfSpawnsAndDeletesAreNotGuessed) {
  // Entries that would break a spawn if the name of its hidden directory were predictable.
  choose_next_pid(kFirst);
  for (int i = 0; i < 50; ++i) {
    for (const char* prefix : {".tmp-", ".del-", "."})
      make_entry(path() / (prefix + std::to_string(kFirst + i)), Entry::kEmpty, kOwner);
  }
  const auto before = picture_of(path());
  Task task = theirs().spawn({.exec = {"/bin/true"}, .cwd = "/"});
  EXPECT_LT(task.pid(), kFirst + 10);
  task.remove();
  EXPECT_EQ(picture_of(path()), before);
  sweep();
}

/// Error words of every client call on a task.
std::vector<std::string> everything_from(Task& task) {
  return {words_of([&] { return task.info(true).dump(); }),
          words_of([&] { return task.snapshot().dump(); }),
          words_of([&] { return task.stream("stdout").peek().data; }),
          words_of([&] { return task.stream("stdout").read().data; }),
          words_of([&] { return std::to_string(task.output().chunks.size()); }),
          words_of([&] { return std::to_string(task.kill("USR1")); }),
          words_of([&] { return std::to_string(task.remove().signalled); })};
}

TEST_F(FilesPremade, G10_ATaskSwappedForAMadeUpOneIsNotFound) {
  Task held = theirs().spawn({.exec = {"/bin/sleep", "1000"}, .cwd = "/"});
  const std::filesystem::path name = path() / std::to_string(held.pid());
  std::filesystem::rename(name, path() / "aside");
  make_task_like(name);
  const auto before = picture_of(name);
  for (const std::string& words : everything_from(held))
    EXPECT_EQ(words.rfind("not_found ", 0), 0u) << words;
  EXPECT_EQ(picture_of(name), before);
  std::filesystem::remove_all(name);
  std::filesystem::rename(path() / "aside", name);
  Task(held.pid(), path()).remove();
}

TEST_F(FilesPremade, G10_ATaskSwappedForAnotherIsNotFoundOrStillItself) {
  const auto say = [&](const std::string& word) {
    SpawnOptions options{.exec = {"/bin/sh", "-c", "echo " + word + "; exec sleep 1000"}, .cwd = "/"};
    Task task = theirs().spawn(options);
    EXPECT_TRUE(wait_limit(task, "stdout", word.size() + 1));
    return task;
  };
  Task first = say("first");
  Task second = say("second");
  second.disconnect();
  Task unconnected = theirs().task(first.pid()).value();
  Task connected(first.pid(), path());
  ASSERT_TRUE(connected.connect());
  const std::filesystem::path first_name = path() / std::to_string(first.pid());
  const std::filesystem::path second_name = path() / std::to_string(second.pid());
  std::filesystem::rename(first_name, path() / "aside");
  std::filesystem::rename(second_name, first_name);
  for (const std::string& words : everything_from(unconnected))
    EXPECT_EQ(words.rfind("not_found ", 0), 0u) << words;
  // An open connection stays with the task it was made to.
  EXPECT_EQ(connected.info(true)["pid"], first.pid());
  EXPECT_EQ(connected.stream("stdout").peek().data, "first\n");
  connected.disconnect();
  EXPECT_EQ(connected.stream("stdout").peek().data, "first\n");
  EXPECT_EQ(connected.info(true)["pid"], first.pid());
  std::filesystem::rename(first_name, second_name);
  std::filesystem::rename(path() / "aside", first_name);
  EXPECT_EQ(Task(second.pid(), path()).info()["status"]["state"], "running") << "nobody signalled it";
  Task(first.pid(), path()).remove();
  Task(second.pid(), path()).remove();
}

TEST_F(FilesPremade, G6_G10_ADeleteLeavesAloneWhatTookTheTasksName) {
  for (const bool with_files : {false, true}) {
    Task held = theirs().spawn({.exec = {"/bin/sleep", "1000"}, .cwd = "/"});
    const pid_t child = child_of(held);
    const std::filesystem::path name = path() / std::to_string(held.pid());
    std::filesystem::rename(name, path() / "aside");
    if (with_files) {
      make_task_like(name);
    } else {
      make_entry(name, Entry::kEmpty, kOwner);
    }
    const auto before = picture_of(path());
    held.remove();  // over the connection that it has
    EXPECT_TRUE(eventually([&] { return e2e::gone(child) && e2e::gone(held.pid()); }));
    auto after = picture_of(path());
    EXPECT_EQ(e2e::names_in(path() / "aside"), std::vector<std::string>()) << "no file of the task is left";
    for (const auto& [file, words] : before) {
      if (file.rfind("aside", 0) != 0) {
        EXPECT_EQ(after[file], words) << file;
      }
    }
    sweep();
  }
}

TEST_F(FilesPremade, G10_RootTakesNoUsersTaskOver) {
  const pid_t pid = spawn_as(kOwner, path(), {.exec = {"/bin/sleep", "1000"}});
  Task task(pid, path());
  const pid_t child = child_of(task);
  task.disconnect();
  kill_supervisor(task);
  EXPECT_EQ(e2e::error_of([&] { theirs().adopt(pid); }).code(), "denied");
  EXPECT_FALSE(e2e::gone(child));
  ASSERT_TRUE(e2e::send_signal(child, SIGKILL));
  EXPECT_TRUE(eventually([&] { return theirs().gc() == std::vector<pid_t>{pid}; }));
  EXPECT_EQ(e2e::names_in(path()), std::vector<std::string>());
}

}  // namespace
}  // namespace bgtask::faults
