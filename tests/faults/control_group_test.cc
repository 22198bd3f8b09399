// Tasks in control groups: all processes that a task started are stopped, counted and ended, however they
// hide; no other process is.
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "tests/faults/fault_test.h"

namespace bgtask::faults {
namespace {

namespace fs = std::filesystem;

class ControlGroup : public FaultTest {
 protected:
  void SetUp() override {
    FaultTest::SetUp();
    const fs::path mount_point = base() / "cgroup2";
    fs::create_directory(mount_point);
    ASSERT_EQ(::mount("cgroup2", mount_point.c_str(), "cgroup2", 0, nullptr), 0) << strerror(errno);
    parent_ = mount_point / ("bgtask-test-" + std::to_string(::getpid()) + base().filename().string());
    fs::create_directory(parent_);
    ::setenv("BGTASK_CGROUP", parent_.c_str(), 1);
  }
  void TearDown() override {
    ::unsetenv("BGTASK_CGROUP");
    EXPECT_EQ(groups(), std::vector<std::string>()) << "groups are left of deleted tasks";
    for (const std::string& left : groups())
      ::rmdir((parent_ / left).c_str());
    EXPECT_TRUE(eventually([&] {
      return ::rmdir((parent_ / "bgtask-supervisors").c_str()) == 0 || errno == ENOENT;
    })) << "supervisors are left";
    EXPECT_EQ(::rmdir(parent_.c_str()), 0) << strerror(errno);
    ::umount2((base() / "cgroup2").c_str(), MNT_DETACH);
    FaultTest::TearDown();
  }

  /// Control groups of tasks below the delegated group.
  std::vector<std::string> groups() const {
    std::vector<std::string> found;
    for (const auto& entry : fs::directory_iterator(parent_)) {
      if (entry.is_directory() && entry.path().filename() != "bgtask-supervisors")
        found.push_back(entry.path().filename());
    }
    return found;
  }
  fs::path group_of(const Task& task) const { return parent_ / ("bgtask-" + std::to_string(task.pid())); }
  std::vector<pid_t> processes_of(const Task& task) const {
    std::istringstream list(e2e::read_whole(group_of(task) / "cgroup.procs"));
    std::vector<pid_t> pids;
    for (pid_t pid = 0; list >> pid;)
      pids.push_back(pid);
    return pids;
  }
  /// The task whose pid another task printed, once the process that started it has ended.
  Task started_by(Task& outer) const {
    std::string printed;
    EXPECT_TRUE(eventually([&] {
      printed = outer.stream("stdout").peek().data;
      return printed.find('\n') != std::string::npos;
    }));
    EXPECT_TRUE(eventually([&] { return outer.info(true)["descendants"] == 0; }));
    return *pool().task(std::stoi(printed));
  }
  /// Twenty daemons that changed session, lost their parent and forgot their environment.
  Task hiding() const {
    Task task = shell(
        "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do "
        "(env -i setsid sleep 1000 &) ; done; echo ready; exec sleep 1000");
    EXPECT_TRUE(wait_limit(task, "stdout", 6));
    EXPECT_TRUE(eventually([&] { return processes_of(task).size() == 21; }));
    return task;
  }

 private:
  fs::path parent_;
};

TEST_F(ControlGroup, G5_G6_EverythingIsKilledAndNothingElse) {
  Task task = hiding();
  Task other = awkward({"sleep"});
  EXPECT_EQ(task.info(true)["containment"], "cgroup");
  EXPECT_EQ(task.info(true)["descendants"], 20);
  EXPECT_EQ(task.kill("KILL", Scope::kTree), 21u);
  EXPECT_TRUE(eventually([&] { return processes_of(task).empty(); }));
  EXPECT_EQ(other.info(true)["status"]["state"], "running");
  EXPECT_EQ(task.remove().survivors.size(), 0u);
  EXPECT_FALSE(fs::exists(group_of(task)));
  other.remove();
}

TEST_F(ControlGroup, G7_TheSupervisorIsInNoTasksGroup) {
  Task task = awkward({"sleep"});
  const std::string own = e2e::read_whole("/proc/" + std::to_string(task.pid()) + "/cgroup");
  EXPECT_NE(own.find("/bgtask-supervisors\n"), std::string::npos) << own;
  EXPECT_EQ(processes_of(task), std::vector<pid_t>{child_of(task)});
  task.remove();
}

TEST_F(ControlGroup, G6_DeleteLeavesNoProcessAndNoGroup) {
  Task task = hiding();
  const std::vector<pid_t> pids = processes_of(task);
  const RemoveReceipt receipt = task.remove();
  EXPECT_EQ(receipt.signalled, 21u);
  for (pid_t pid : pids)
    EXPECT_TRUE(e2e::gone(pid));
  EXPECT_FALSE(fs::exists(group_of(task)));
}

TEST_F(ControlGroup, G5_PauseStopsAndResumeContinuesAllOfIt) {
  Task task = hiding();
  EXPECT_EQ(task.pause(), 21u);
  for (pid_t pid : processes_of(task))
    EXPECT_TRUE(eventually([&] { return e2e::process_state(pid) == 'T'; })) << pid;
  EXPECT_EQ(task.resume(), 21u);
  for (pid_t pid : processes_of(task))
    EXPECT_TRUE(eventually([&] { return e2e::process_state(pid) == 'S'; })) << pid;
  EXPECT_EQ(e2e::read_whole(group_of(task) / "cgroup.freeze"), "0\n");
  task.remove();
}

TEST_F(ControlGroup, G5_ATaskStartedInATaskIsNotKilledWithIt) {
  Task outer = shell("\"$BGTASK\" run -- sleep 1000; exec sleep 1000", {.env = {{"BGTASK", BGTASK_PROGRAM}}});
  Task inner = started_by(outer);
  EXPECT_EQ(processes_of(inner).size(), 1u) << "it has a group of its own";
  EXPECT_EQ(outer.kill("KILL", Scope::kTree), 1u);
  EXPECT_EQ(inner.info(true)["status"]["state"], "running");
  outer.remove();
  EXPECT_EQ(inner.info(true)["status"]["state"], "running");
  EXPECT_EQ(inner.remove().signalled, 1u);
}

TEST_F(ControlGroup, G5_ATaskInATaskWithoutAGroupOfItsOwnIsNotKilledEither) {
  Task outer = shell("unset BGTASK_CGROUP; \"$BGTASK\" run -- sleep 1000; exec sleep 1000",
                     {.env = {{"BGTASK", BGTASK_PROGRAM}}});
  Task inner = started_by(outer);
  EXPECT_EQ(inner.info(true)["containment"], "sub-reaper");
  EXPECT_EQ(outer.kill("KILL", Scope::kTree), 1u);
  EXPECT_EQ(inner.info(true)["status"]["state"], "running");
  inner.remove();
  outer.remove();
}

TEST_F(ControlGroup, G7_AnAdoptedTaskKeepsItsGroup) {
  Task task = hiding();
  const fs::path group = group_of(task);
  kill_supervisor(task);
  Task adopted = pool().adopt(task.pid());
  EXPECT_EQ(adopted.info(true)["containment"], "cgroup");
  EXPECT_EQ(adopted.info(true)["descendants"], 20);
  EXPECT_EQ(adopted.remove().signalled, 21u);
  EXPECT_FALSE(fs::exists(group));
}

// A walk over processes and parents misses a process that joined from elsewhere and a chain of processes that
// each live for an instant and start the next in a session of its own.
TEST_F(ControlGroup, G7_PolicyKillLeavesNothingInTheGroup) {
  Task task =
      shell("for i in 1 2 3 4 5; do eval \"$NEXT\"; done; exec sleep 1000",
            {.env = {{"NEXT", "setsid sh -c \"$NEXT\" &"}}, .on_supervisor_death = OnSupervisorDeath::kKill});
  const pid_t from_elsewhere = ::fork();
  if (from_elsewhere == 0) {
    ::execl("/bin/sleep", "sleep", "1000", nullptr);
    ::_exit(127);
  }
  std::ofstream(group_of(task) / "cgroup.procs") << from_elsewhere << std::flush;
  EXPECT_TRUE(eventually([&] { return processes_of(task).size() > 3; }));
  kill_supervisor(task);
  EXPECT_TRUE(eventually([&] { return processes_of(task).empty(); }));
  ::kill(from_elsewhere, SIGKILL);
  EXPECT_EQ(::waitpid(from_elsewhere, nullptr, 0), from_elsewhere);
  // A process that has left the group may still be exiting.
  EXPECT_TRUE(eventually([&] { return pool().gc() == std::vector<pid_t>{task.pid()}; }));
  EXPECT_FALSE(fs::exists(group_of(task)));
}

TEST_F(ControlGroup, G7_GcRemovesTheGroupOfADeadTask) {
  Task task = awkward({"sleep"});
  const pid_t child = child_of(task);
  kill_supervisor(task);
  e2e::send_signal(child, SIGKILL);
  ASSERT_TRUE(eventually([&] { return e2e::gone(child); }));
  EXPECT_EQ(pool().gc(), std::vector<pid_t>{task.pid()});
  EXPECT_FALSE(fs::exists(group_of(task)));
}

TEST_F(ControlGroup, G1_AFailedSpawnLeavesNoGroup) {
  EXPECT_EQ(e2e::error_of([&] { spawn({.exec = {"/no/such/program"}}); }).code(), "exec_failed");
  EXPECT_EQ(groups(), std::vector<std::string>());
}

// A group delegated to a user can be entered only from within the delegated tree.
TEST_F(ControlGroup, G1_AUserOutsideOfTheDelegatedGroupIsDenied) {
  constexpr uid_t kUser = 65'100;
  const std::string parent = std::getenv("BGTASK_CGROUP");
  const fs::path pool = base() / "of-user";
  fs::create_directory(pool);
  for (const std::string& own :
       {pool.string(), parent, parent + "/cgroup.procs", parent + "/cgroup.subtree_control"})
    ASSERT_EQ(::chown(own.c_str(), kUser, kUser), 0) << own;
  const std::string supervisor = public_copy(BGTASK_SUPERVISOR_PROGRAM).string();
  const e2e::ProgramResult result = e2e::as_user(kUser, [&]() -> std::string {
    const TaskPool own(pool, {.supervisor_command = {supervisor}});
    const Error error = e2e::error_of([&] { own.spawn({.exec = {"/bin/sleep", "1000"}}); });
    return error.code() + ": " + error.what();
  });
  EXPECT_EQ(result.out.rfind("denied: cannot start the command in the control group " + parent, 0), 0u)
      << result.out << result.err;
  EXPECT_TRUE(e2e::names_in(pool).empty());
  EXPECT_EQ(groups(), std::vector<std::string>());
}

TEST_F(ControlGroup, G1_ALimitThatCannotBeSetIsAnErrorAndLeavesNothing) {
  // A parent without controllers cannot enable one for the groups below it.
  const fs::path bare = fs::path(std::getenv("BGTASK_CGROUP")) / "bare";
  fs::create_directory(bare);
  ::setenv("BGTASK_CGROUP", bare.c_str(), 1);
  EXPECT_EQ(e2e::error_of([&] { spawn({.exec = {"/bin/true"}, .memory = 1 << 30}); }).code(), "denied");
  EXPECT_EQ(e2e::error_of([&] { spawn({.exec = {"/bin/true"}, .cpus = 0.5}); }).code(), "denied");
  ::setenv("BGTASK_CGROUP", "/dev/shm", 1);
  EXPECT_EQ(e2e::error_of([&] { spawn({.exec = {"/bin/true"}}); }).code(), "bad_argument");
  EXPECT_TRUE(eventually([&] {
    ::rmdir((bare / "bgtask-supervisors").c_str());
    return ::rmdir(bare.c_str()) == 0;
  })) << "no task's group was left in it";
  ::unsetenv("BGTASK_CGROUP");
  EXPECT_EQ(e2e::error_of([&] { spawn({.exec = {"/bin/true"}, .memory = 1 << 30}); }).code(), "denied");
}

}  // namespace
}  // namespace bgtask::faults
