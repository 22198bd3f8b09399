// Many rounds of the same work: a leak of one round adds up.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/faults/fault_test.h"

namespace bgtask::faults {
namespace {

class LoadCycles : public FaultTest {
 protected:
  /// Checks that descriptors and memory of the caller after many rounds equal those after a few.
  void repeat(int rounds, const std::function<void(int)>& round) {
    constexpr int kWarmUp = 20;
    for (int i = 0; i < kWarmUp; ++i)
      round(i);
    const Footprint before = footprint_of(::getpid());
    for (int i = 0; i < rounds; ++i) {
      ASSERT_NO_THROW(round(i)) << "round " << i;
      if (HasFailure()) return;
    }
    EXPECT_EQ(difference(before, footprint_of(::getpid())), "") << "of the caller, after " << rounds;
    EXPECT_EQ(e2e::names_in(pool().path()), std::vector<std::string>{std::to_string(bystander().pid())});
    EXPECT_TRUE(eventually([] { return other_processes().size() == 2; })) << "only the bystander is left";
    EXPECT_TRUE(eventually([&] { return named_sockets().size() == bystander_sockets_; }))
        << testing::PrintToString(named_sockets());
    EXPECT_EQ(zombies_of_supervisors(), std::vector<pid_t>());
  }
  void SetUp() override {
    FaultTest::SetUp();
    bystander_sockets_ = named_sockets().size();
  }

 private:
  size_t bystander_sockets_ = 0;
};

TEST_F(LoadCycles, G1_G6_SpawnAndDeleteLeaveNothing) {
  repeat(scaled(300, 10'000), [&](int i) {
    Task task = i % 2 == 0 ? pool().spawn({.exec = {"/bin/true"}, .buffer = 65'536})
                           : awkward({"puppet"}, {.buffer = 65'536});
    if (i % 3 == 0) {
      EXPECT_EQ(task.info(true)["pid"], task.pid());
    }
    const RemoveReceipt receipt = task.remove({.grace = Seconds(1), .collect = i % 5 == 0});
    EXPECT_EQ(receipt.survivors, std::vector<pid_t>());
  });
}

TEST_F(LoadCycles, G1_FailedSpawnsLeaveNothing) {
  const std::filesystem::path no_program = base() / "no-program";
  e2e::write_whole(no_program, "#!/nonexistent/interpreter\n");
  ::chmod(no_program.c_str(), 0700);
  const std::filesystem::path no_permission = base() / "no-permission";
  e2e::write_whole(no_permission, "#!/bin/sh\n");
  ::chmod(no_permission.c_str(), 0600);
  const std::filesystem::path lock_file = base() / "lock";
  const int held = ::open(lock_file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  ASSERT_EQ(::flock(held, LOCK_EX), 0);
  struct Failure {
    SpawnOptions options;
    std::string code;
    int os_error;
  };
  const std::vector<Failure> failures = {
      {{.exec = {"/nonexistent/program"}}, "exec_failed", ENOENT},
      {{.exec = {"no-such-program-anywhere"}}, "exec_failed", ENOENT},
      {{.exec = {no_program.string()}}, "exec_failed", ENOENT},
      {{.exec = {no_permission.string()}}, "exec_failed", EACCES},
      {{.exec = {"/tmp"}}, "exec_failed", EACCES},
      {{.exec = {"/bin/true"}, .cwd = "/nonexistent"}, "exec_failed", ENOENT},
      {{.exec = {"/bin/true"}, .lock_file = lock_file.string()}, "locked", 0},
      {{.exec = {"/bin/true"}, .on_supervisor_death = OnSupervisorDeath::kKill}, "", 0},
      {{.exec = {"/nonexistent"}, .on_supervisor_death = OnSupervisorDeath::kKill}, "exec_failed", ENOENT},
      {{.exec = {"/nonexistent"}, .rings = Rings::kMemory}, "exec_failed", ENOENT},
  };
  repeat(scaled(300, 10'000), [&](int i) {
    const Failure& failure = failures[static_cast<size_t>(i) % failures.size()];
    if (failure.code.empty()) {  // an occasional success is fine
      pool().spawn(failure.options).remove();
      return;
    }
    const Error error = e2e::error_of([&] { pool().spawn(failure.options); });
    EXPECT_EQ(error.code(), failure.code) << error.what();
    if (failure.os_error != 0) {
      EXPECT_EQ(error.os_error(), failure.os_error) << error.what();
    }
  });
  ::close(held);
}

TEST_F(LoadCycles, G6_G7_LostAndAdoptedTasksLeaveNothing) {
  repeat(scaled(60, 2'000), [&](int i) {
    Task task =
        awkward({"puppet", make_fifo("commands-" + std::to_string(i % 2)).string()}, {.buffer = 65'536});
    kill_supervisor(task);
    Task adopted = pool().adopt(task.pid());
    EXPECT_EQ(adopted.info(true)["status"]["state"], "running");
    adopted.remove({.grace = Seconds(1)});
    std::filesystem::remove(base() / ("commands-" + std::to_string(i % 2)));
  });
}

}  // namespace
}  // namespace bgtask::faults
