// No process can be created: process_limit or no_memory, and nothing is left. Pipes of a user who has used up
// the pipe quota are small and work.
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <sstream>

#include "tests/e2e/pattern.h"
#include "tests/faults/fault_test.h"

namespace bgtask::faults {
namespace {

using e2e::as_user;
using e2e::error_of;
using e2e::names_in;

class NoProcesses : public FaultTest {
 protected:
  void expect_nothing_left() {
    EXPECT_EQ(names_in(pool().path()), std::vector<std::string>{std::to_string(bystander().pid())});
    EXPECT_TRUE(eventually([] { return other_processes().size() == 2; }))
        << testing::PrintToString(other_processes());
  }
};

constexpr char kForks[] = "inject=fork,vfork,clone,clone3:error=";

TEST_F(NoProcesses, G1_G8_TheSupervisorCannotFork) {
  for (const auto& [error, word] : {std::pair("EAGAIN", "process_limit"), std::pair("ENOMEM", "no_memory")}) {
    SCOPED_TRACE(error);
    const TaskPool starved = traced({"-e", std::string(kForks) + error});
    EXPECT_EQ(error_of([&] { starved.spawn({.exec = {"/bin/true"}}); }).code(), word);
    expect_nothing_left();
    const SpawnOptions guarded = {.exec = {"/bin/true"}, .on_supervisor_death = OnSupervisorDeath::kKill};
    EXPECT_EQ(error_of([&] { starved.spawn(guarded); }).code(), word);
    expect_nothing_left();
  }
}

// The guard above a supervisor that cannot start a child must end too.
TEST_F(NoProcesses, G1_G8_TheSupervisorBelowAGuardCannotFork) {
  const TaskPool starved = traced({"-f", "-e", std::string(kForks) + "EAGAIN:when=2"});
  const SpawnOptions guarded = {.exec = {"/bin/true"}, .on_supervisor_death = OnSupervisorDeath::kKill};
  try {
    // strace counts injections for each process: the supervisor's second fork is its first here.
    starved.spawn(guarded).remove({.grace = Seconds(0)});
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), "process_limit") << error.what();
  }
  expect_nothing_left();
}

TEST_F(NoProcesses, G1_G8_TheCallerCannotFork) {
  for (const auto& [error, text] :
       {std::pair("EAGAIN", "Resource temporarily unavailable"), std::pair("ENOMEM", "Cannot allocate")}) {
    const e2e::ProgramResult run =
        e2e::run_program({"strace", "-qqq", "-o", "/dev/null", "-e", std::string(kForks) + error,
                          BGTASK_PROGRAM, "run", "--", "/bin/true"});
    EXPECT_EQ(run.status, 125);
    EXPECT_EQ(run.out, "");
    EXPECT_NE(run.err.find(text), std::string::npos) << run.err;
    expect_nothing_left();
  }
}

TEST_F(NoProcesses, G8_ARestartThatCannotForkCanBeTriedAgain) {
  Task task = shell("exit 3");
  EXPECT_EQ(wait_exit(task)["exit_code"], 3);
  {
    Attached tracer(task.pid(), {"-e", std::string(kForks) + "EAGAIN"});
    EXPECT_EQ(error_of([&] { task.restart(); }).code(), "process_limit");
    EXPECT_EQ(task.info(true)["status"]["exit_code"], 3) << "as before";
    EXPECT_EQ(task.info(true)["runs"], 1);
  }
  EXPECT_TRUE(task.restart());
  EXPECT_EQ(wait_exit(task)["exit_code"], 3);
}

/// An ordinary user with a pool.
class OrdinaryUser : public FaultTest {
 protected:
  /// A different uid for each case, because the kernel counts a user's processes on the whole machine.
  const uid_t user_ =
      61'000 +
      static_cast<uid_t>(
          std::hash<std::string>{}(testing::UnitTest::GetInstance()->current_test_info()->name()) % 4'000);
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(FaultTest::SetUp());
    ASSERT_EQ(::mkdir(users_pool().c_str(), 0700), 0);
    ASSERT_EQ(::chown(users_pool().c_str(), user_, user_), 0);
    supervisor_ = public_copy(BGTASK_SUPERVISOR_PROGRAM);
  }
  /// Includes zombies, which the kernel counts until they are reaped.
  bool has_processes() const {
    for (const std::string& name : names_in("/proc")) {
      const pid_t pid = std::atoi(name.c_str());
      if (pid > 0 && e2e::process_number(pid, "Uid") == user_) return true;
    }
    return false;
  }
  std::filesystem::path users_pool() const { return base() / "of-user"; }
  TaskPool pool_of_user() const {
    return TaskPool(users_pool(), {.supervisor_command = {supervisor_.string()},
                                   .supervisor_env = {{"BGTASK_E2E", base().string()}}});
  }

 private:
  std::filesystem::path supervisor_;
};

// The limit counts the user's processes, not root's: the caller, the intermediate process, the supervisor,
// the guard, the child.
TEST_F(OrdinaryUser, G1_G8_SpawnUnderALimitOfProcesses) {
  constexpr rlim_t kEnough = 6;
  for (const OnSupervisorDeath policy : {OnSupervisorDeath::kKeep, OnSupervisorDeath::kKill}) {
    bool works = false;
    for (rlim_t limit = 0; limit <= kEnough; ++limit) {
      SCOPED_TRACE("limit " + std::to_string(limit));
      const e2e::ProgramResult result = as_user(user_, [&]() -> std::string {
        const rlimit processes{limit, limit};
        if (::setrlimit(RLIMIT_NPROC, &processes) != 0) return "setrlimit";
        try {
          Task task = pool_of_user().spawn({.exec = {"/bin/sleep", "1000"}, .on_supervisor_death = policy});
          if (task.info(true)["status"]["state"] != "running") return "not running";
          task.remove({.grace = Seconds(0)});
          return "a task";
        } catch (const Error& error) {
          return error.code();
        }
      });
      EXPECT_EQ(result.out, works || result.out == "a task" ? "a task" : "process_limit") << result.err;
      works = result.out == "a task";
      EXPECT_TRUE(names_in(users_pool()).empty());
      EXPECT_TRUE(eventually([&] { return !has_processes(); }));
    }
    EXPECT_TRUE(works);
  }
}

// Threads count as processes: without them, tasks are handled one after the other instead of in parallel.
TEST_F(OrdinaryUser, G6_G8_ManyTasksAreDeletedWithoutAThread) {
  const std::string program = public_copy(BGTASK_PROGRAM).string(), pool = users_pool().string();
  const std::filesystem::path receipts = base() / "receipts";
  const int out = ::open(receipts.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  const e2e::ProgramResult result = as_user(user_, [&]() -> std::string {
    for (int i = 0; i < 3; ++i)
      pool_of_user().spawn({.exec = {"/bin/sleep", "1000"}});
    const rlimit none{0, 0};
    if (::setrlimit(RLIMIT_NPROC, &none) != 0 || ::dup2(out, STDOUT_FILENO) < 0) return "prepared in vain";
    ::execl(program.c_str(), "bgtask", "--pool", pool.c_str(), "delete", "-a", "-o", "jsonl", nullptr);
    return "exec";
  });
  ::close(out);
  const std::string said = e2e::read_whole(receipts);
  EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 3) << result.out << result.err;
  EXPECT_TRUE(names_in(users_pool()).empty());
}

/// Fills the user's quota of pipe memory; the caller holds the pipes.
void use_up_pipe_quota() {
  constexpr int kLarge = 1 << 20, kPipes = 64;
  for (int i = 0; i < kPipes; ++i) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("pipe2");
    if (::fcntl(ends[0], F_SETPIPE_SZ, kLarge) < 0) return;
  }
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0 || ::fcntl(ends[0], F_GETPIPE_SZ) >= 65'536)
    throw std::runtime_error("the quota is larger than was thought");
}

TEST_F(OrdinaryUser, G2_G3_G8_TasksBeyondThePipeQuotaWork) {
  constexpr size_t kSize = 300'000;
  const int count = scaled(20, 600);
  const std::string program = public_copy(AWKWARD_PROGRAM).string();
  const e2e::ProgramResult result = as_user(user_, [&]() -> std::string {
    use_up_pipe_quota();
    const TaskPool own = pool_of_user();
    std::vector<Task> tasks;
    for (int i = 0; i < count; ++i)
      tasks.push_back(own.spawn({.exec = {program, "pattern", std::to_string(kSize)}}));
    std::ostringstream wrong;
    for (Task& task : tasks) {
      const Json status = task.wait({.for_events = {"eof"}, .timeout = Seconds(60)}).status;
      const std::string read = task.stream("stdout").read().data;
      if (read != e2e::pattern(0, kSize)) wrong << task.pid() << " has " << read.size() << " bytes; ";
      if (status["exit_code"] != 0) wrong << task.pid() << " " << status << "; ";
      task.remove({.grace = Seconds(0)});
    }
    return wrong.str();
  });
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(result.out, "");
  EXPECT_TRUE(names_in(users_pool()).empty());
}

}  // namespace
}  // namespace bgtask::faults
