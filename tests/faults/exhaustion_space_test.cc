// The pool's file system is full or out of inodes: spawn works or fails as a whole, running tasks keep less
// output and count the loss, and everything works again once there is room.
#include <algorithm>

#include "tests/e2e/pattern.h"
#include "tests/faults/fault_test.h"

namespace bgtask::faults {
namespace {

using e2e::error_of;
using e2e::names_in;
using e2e::pattern;

/// Sends a command to the child, an `awkward puppet`.
void tell(Task& task, const std::string& line) {
  task.stream("stdin").write_all(line + "\n");
}

/// Spawns until a spawn is refused; checks that each spawned task works.
size_t spawn_until(const std::string& word, const TaskPool& pool, const std::vector<std::string>& command) {
  constexpr size_t kMore = 100;
  std::vector<Task> tasks;
  std::string refusal;
  while (refusal.empty() && tasks.size() < kMore) {
    try {
      tasks.push_back(pool.spawn({.exec = command}));
    } catch (const Error& error) {
      refusal = error.code();
    }
  }
  EXPECT_EQ(refusal, word);
  EXPECT_EQ(names_in(pool.path()).size(), tasks.size()) << "the refused one left something";
  for (Task& task : tasks) {
    EXPECT_EQ(task.info(true)["status"]["state"], "running");
    task.remove({.grace = Seconds(0)});
  }
  EXPECT_TRUE(names_in(pool.path()).empty());
  return tasks.size();
}

class TinyPool : public FaultTest {
  std::string mount_options() const override { return "size=64k,mode=0755"; }
  bool wants_bystander() const override { return false; }
};

TEST_F(TinyPool, G1_G8_SpawnInSixtyFourKibibytesWorksOrIsNoSpaceAndLeavesNothing) {
  for (int round = 0; round < scaled(3, 30); ++round)
    spawn_until("no_space", pool(), awkward_command({"sleep"}));
}

TEST_F(TinyPool, G2_G8_OutputBeyondThePoolIsKeptInPartAndCounted) {
  constexpr uint64_t kWritten = 1'000'000;
  std::optional<Task> task;
  try {
    task.emplace(awkward({"puppet"}));
  } catch (const Error& error) {
    FAIL() << "one task fits: " << error.what();
  }
  tell(*task, "pattern 0 " + std::to_string(kWritten));
  ASSERT_TRUE(wait_limit(*task, "stdout", kWritten)) << "the child goes on";
  const ReadResult read = task->stream("stdout").read();
  EXPECT_EQ(read.limit, kWritten);
  EXPECT_EQ(read.offset + read.data.size(), kWritten);
  EXPECT_EQ(read.lost, read.offset) << "what is not there was counted";
  EXPECT_TRUE(read.data == pattern(read.offset, read.data.size()));
  EXPECT_EQ(task->info(true)["status"]["state"], "running");
  task->remove({.grace = Seconds(0)});
}

class FewInodes : public FaultTest {
  std::string mount_options() const override { return "size=16m,nr_inodes=8,mode=0755"; }
  bool wants_bystander() const override { return false; }
};

TEST_F(FewInodes, G1_G8_SpawnWithEightInodesIsNoSpaceAndLeavesNothing) {
  for (int round = 0; round < scaled(5, 200); ++round) {
    EXPECT_EQ(error_of([&] { awkward({"sleep"}); }).code(), "no_space");
    EXPECT_TRUE(names_in(pool().path()).empty());
  }
}

TEST_F(FewInodes, G8_TasksShareWhatInodesThereAre) {
  remount("nr_inodes=40");
  EXPECT_GE(spawn_until("no_space", pool(), awkward_command({"sleep"})), 2u);
}

class FillingUp : public FaultTest {
 protected:
  std::string mount_options() const override { return "size=8m,mode=0755"; }
  std::string state_in_search(const Task& task) const {
    for (Task& found : pool().search(Json::object())) {
      if (found.pid() == task.pid()) return found.info()["status"]["state"];
    }
    return "absent";
  }
};

TEST_F(FillingUp, G2_G8_OutputWhileTheDiskIsFullIsCountedAndTheChildGoesOn) {
  constexpr uint64_t kWhileFull = 3'000'000, kAfter = 500'000;
  Task task = awkward({"puppet"});
  tell(task, "pattern 0 1000");
  ASSERT_TRUE(wait_limit(task, "stdout", 1'000));
  fill_up();
  tell(task, "pattern 1000 " + std::to_string(kWhileFull));
  tell(task, "data nobody has room for this");
  tell(task, "err nor perhaps for this");
  ASSERT_TRUE(wait_limit(task, "stdout", 1'000 + kWhileFull));
  ASSERT_TRUE(wait_limit(task, "data", 1));
  ASSERT_TRUE(wait_limit(task, "stderr", 21));
  const ReadResult full = task.stream("stdout").read();
  EXPECT_EQ(full.lost, full.offset);
  EXPECT_EQ(full.offset + full.data.size(), full.limit);
  EXPECT_TRUE(full.data == pattern(full.offset, full.data.size()));
  free_up();
  tell(task, "pattern " + std::to_string(full.limit) + " " + std::to_string(kAfter));
  ASSERT_TRUE(wait_limit(task, "stdout", full.limit + kAfter));
  const ReadResult after = task.stream("stdout").read();
  EXPECT_EQ(after.offset, full.limit) << "with room again nothing is lost";
  EXPECT_TRUE(after.data == pattern(after.offset, kAfter));
  EXPECT_EQ(after.lost, full.lost);
}

TEST_F(FillingUp, G2_G8_ABlockingTaskLosesNothingOnAFullDisk) {
  constexpr uint64_t kSize = 2'000'000;
  fill_up(256 * 1024);
  Task task = awkward({"pattern", std::to_string(kSize)}, {.overflow = Overflow::kBlock});
  std::string got;
  const auto take = [&] { got += task.stream("stdout").read().data; };
  EXPECT_TRUE(eventually([&] {
    take();
    return got.size() >= 200'000;
  }));
  fill_up();
  take();
  free_up();
  EXPECT_TRUE(eventually([&] {
    take();
    return got.size() >= kSize;
  })) << got.size();
  EXPECT_TRUE(got == pattern(0, kSize));
  EXPECT_EQ(task.stream("stdout").info()["lost"], 0);
  EXPECT_EQ(wait_exit(task)["exit_code"], 0);
}

TEST_F(FillingUp, G4_G8_WhatCannotBePublishedOnAFullDiskIsPublishedLater) {
  Task task = awkward({"puppet"});
  Task other = awkward({"puppet"});
  fill_up();
  std::string word;
  try {
    task.apply_meta({{"note", std::string(5'000, 'n')}});
  } catch (const Error& error) {
    word = error.code();
  }
  EXPECT_TRUE(word.empty() || word == "no_space") << word;
  tell(other, "exit 7");
  EXPECT_EQ(wait_exit(other)["exit_code"], 7) << "its supervisor tells it all the same";
  EXPECT_EQ(other.restart(), true) << "a restart needs no space";
  EXPECT_EQ(other.info(true)["runs"], 2);
  tell(other, "exit 8");
  EXPECT_EQ(wait_exit(other)["exit_code"], 8);
  free_up();
  EXPECT_TRUE(eventually([&] { return state_in_search(other) == "exited"; }));
  const Json pattern_of_note = {{"meta", {{"note", std::string(5'000, 'n')}}}};
  EXPECT_TRUE(!word.empty() || eventually([&] { return pool().search(pattern_of_note).size() == 1; }));
  task.apply_meta({{"note", "again"}});
  EXPECT_EQ(pool().search({{"meta", {{"note", "again"}}}}).size(), 1u);
}

TEST_F(FillingUp, G6_G8_ATaskIsDeletedOnAFullDisk) {
  Task task = awkward({"puppet"});
  tell(task, "pattern 0 5000");
  ASSERT_TRUE(wait_limit(task, "stdout", 5'000));
  const pid_t child = child_of(task);
  fill_up();
  EXPECT_EQ(error_of([&] { awkward({"sleep"}); }).code(), "no_space");
  task.remove({.grace = Seconds(0)});
  EXPECT_TRUE(e2e::gone(child));
  EXPECT_EQ(names_in(pool().path()), std::vector<std::string>{std::to_string(bystander().pid())});
  free_up();
  EXPECT_NO_THROW(awkward({"sleep"}));
}

TEST_F(FillingUp, G7_G8_ALostTaskIsAdoptedOnAFullDisk) {
  const std::string fifo = make_fifo("commands").string();
  Task task = awkward({"puppet", fifo});
  e2e::write_whole(fifo, "pattern 0 5000\n");
  ASSERT_TRUE(wait_limit(task, "stdout", 5'000));
  kill_supervisor(task);
  fill_up();
  std::string word;
  try {
    task = pool().adopt(task.pid());
  } catch (const Error& error) {
    word = error.code();
  }
  free_up();
  if (!word.empty()) {
    EXPECT_EQ(word, "no_space");
    EXPECT_EQ(task.snapshot()["status"]["state"], "lost") << "as before";
    task = pool().adopt(task.pid());
  }
  EXPECT_TRUE(task.stream("stdout").read().data == pattern(0, 5'000));
  EXPECT_EQ(task.info(true)["status"]["state"], "running");
}

}  // namespace
}  // namespace bgtask::faults
