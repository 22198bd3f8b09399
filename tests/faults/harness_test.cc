// Tests of the harness: a blind oracle or a fault that is not injected would make every case pass.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "tests/faults/fault_test.h"

namespace bgtask::faults {
namespace {

using Harness = FaultTest;

TEST_F(Harness, TheFootprintShowsADescriptorAndAZombie) {
  const Footprint before = footprint_of(::getpid());
  EXPECT_EQ(difference(before, footprint_of(::getpid())), "");
  const int fd = ::open("/dev/zero", O_RDONLY | O_CLOEXEC);
  EXPECT_NE(difference(before, footprint_of(::getpid())), "");
  ::close(fd);
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  EXPECT_TRUE(eventually([&] { return !footprint_of(::getpid()).zombies.empty(); }));
  EXPECT_NE(difference(before, footprint_of(::getpid())), "");
  ::waitpid(child, nullptr, 0);
  const mode_t mask = ::umask(0123);
  EXPECT_NE(difference(before, footprint_of(::getpid())), "");
  ::umask(mask);
  EXPECT_EQ(difference(before, footprint_of(::getpid())), "");
}

TEST_F(Harness, ProcessesAndSocketsOfThisMachineAreSeen) {
  EXPECT_EQ(other_processes().size(), 2u) << "the bystander's supervisor and its child";
  EXPECT_TRUE(eventually([] { return named_sockets().size() == 2; }))
      << "the bystander's: " << testing::PrintToString(named_sockets());
}

TEST_F(Harness, AnErrorIsInjected) {
  const TaskPool pool = traced({"-e", "inject=renameat2:error=EROFS:when=1"});
  EXPECT_EQ(e2e::error_of([&] { pool.spawn({.exec = {"/bin/true"}}); }).os_error(), EROFS);
}

TEST_F(Harness, ACrashIsInjected) {
  const TaskPool pool = traced({"-e", "inject=renameat2:signal=KILL:when=1"});
  e2e::error_of([&] { pool.spawn({.exec = {"/bin/true"}}); });
}

TEST_F(Harness, SystemCallsAreRecorded) {
  const auto calls = calls_made([](const TaskPool& pool) {
    Task task = pool.spawn({.exec = {"/bin/true"}});
    task.wait({.timeout = Seconds(10)});
    task.remove();
  });
  const auto made = [&](const char* name) {
    return std::count_if(calls.begin(), calls.end(),
                         [&](const SystemCall& call) { return call.name == name; });
  };
  EXPECT_EQ(made("listen"), 2);
  EXPECT_GE(made("renameat2"), 2) << "into place and out of sight";
  EXPECT_GE(made("unlinkat"), 8);
  EXPECT_EQ(made("nosuchcall"), 0);
}

TEST_F(Harness, ARunningSupervisorIsTraced) {
  Task task = awkward({"puppet"});
  e2e::RawClient client(socket_of(task));
  {
    Attached tracer(task.pid(), {"-e", "inject=pidfd_send_signal:error=EPERM"});
    EXPECT_EQ(e2e::error_word(client.call("kill", {{"signal", "TERM"}, {"scope", "process"}})), "denied");
  }
  EXPECT_EQ(client.result("kill", {{"signal", "TERM"}, {"scope", "process"}})["signalled"], 1);
}

TEST_F(Harness, AllocationsFailAndTheClockMoves) {
  const TaskPool pool = controlled();
  Task task = pool.spawn({.exec = awkward_command({"puppet"})});
  control().allocations_seen = 0;
  EXPECT_EQ(task.call("ping"), "pong");
  EXPECT_GT(control().allocations_seen.load(), 0);
  control().clock_offset = 1'000'000;
  Task later = pool.spawn({.exec = {"/bin/true"}});
  EXPECT_GT(later.info(true)["started_at"].get<double>(),
            task.info(true)["started_at"].get<double>() + 900'000);
  control().clock_offset = 0;
}

TEST_F(Harness, PidsAreChosen) {
  choose_next_pid(7'000);
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  ::waitpid(child, nullptr, 0);
  EXPECT_EQ(child, 7'000);
}

TEST_F(Harness, TheFileSystemFills) {
  fill_up();
  EXPECT_EQ(e2e::error_of([&] { shell("true"); }).code(), "no_space");
  free_up();
  EXPECT_NO_THROW(shell("true"));
}

class QuietHarness : public FaultTest {
  bool wants_bystander() const override { return false; }
};

TEST_F(QuietHarness, TheFileSystemIsReadOnly) {
  remount("ro");
  EXPECT_EQ(e2e::error_of([&] { shell("true"); }).code(), "read_only");
  remount("size=256m");
  EXPECT_NO_THROW(shell("true"));
}

}  // namespace
}  // namespace bgtask::faults
