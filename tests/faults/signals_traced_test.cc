// Under a tracer: which processes a supervisor signals, and events between two checks of a child's state.
#include <csignal>
#include <regex>
#include <set>
#include <sstream>

#include "tests/faults/fault_test.h"

namespace bgtask::faults {
namespace {

class SignalsTraced : public FaultTest {
 protected:
  void SetUp() override {
    FaultTest::SetUp();
    record_ = base() / "record";
  }
  TaskPool recorded(std::vector<std::string> more = {}) const {
    std::vector<std::string> options = {
        "-o",
        record_.string(),
        "-A",
        "-e",
        "signal=none",
        "--decode-fds=pidfd",
        "-e",
        "trace=kill,tkill,tgkill,rt_sigqueueinfo,rt_tgsigqueueinfo,pidfd_send_signal,fork,vfork,clone,"
        "clone3"};
    options.insert(options.end(), more.begin(), more.end());
    return traced(options);
  }
  /// The pids that `awkward family` has printed, in all its runs.
  std::set<pid_t> printed(Task& task, size_t count) const {
    std::set<pid_t> pids;
    EXPECT_TRUE(eventually([&] {
      pids.clear();
      std::istringstream lines(task.stream("stdout").peek(0).data);
      pid_t pid = 0;
      for (std::string role; lines >> role >> pid;)
        pids.insert(pid);
      return pids.size() == count;
    }));
    return pids;
  }
  /// Checks the record: every signal went to one of these, or to a process that the supervisor forked.
  void expect_only_signalled(std::set<pid_t> own) {
    ASSERT_TRUE(eventually([] { return other_processes().size() <= 2; })) << "the tracers end";
    static const std::regex kForked(R"(\b(?:fork|vfork|clone|clone3)\(.* = (\d+))");
    static const std::regex kByNumber(
        R"(\b(?:kill|tkill|tgkill|rt_sigqueueinfo|rt_tgsigqueueinfo)\((-?\d+), )");
    static const std::regex kByHandle(R"(\bpidfd_send_signal\(\d+<pid:(-?\d+)>)");
    const std::string record = e2e::read_whole(record_);
    std::smatch match;
    std::istringstream first(record), second(record);
    for (std::string line; std::getline(first, line);) {
      if (std::regex_search(line, match, kForked)) own.insert(std::stoi(match[1]));
    }
    for (std::string line; std::getline(second, line);) {
      if (std::regex_search(line, match, kByNumber)) {
        ++by_number_;
        const int target = std::stoi(match[1]);
        EXPECT_TRUE(target > 1 || target < -1) << line;
        EXPECT_TRUE(own.contains(std::abs(target))) << line;
      } else if (std::regex_search(line, match, kByHandle)) {
        ++by_handle_;
        // The pidfd of an ended process names no process, so a signal through it reaches none.
        if (line.find("ESRCH") == std::string::npos) {
          EXPECT_TRUE(own.contains(std::stoi(match[1]))) << line;
        }
      } else {
        EXPECT_EQ(line.find("pidfd_send_signal"), std::string::npos) << "not understood: " << line;
      }
    }
    std::filesystem::remove(record_);
  }
  size_t by_number() const { return by_number_; }
  size_t by_handle() const { return by_handle_; }

 private:
  std::filesystem::path record_;
  size_t by_number_ = 0, by_handle_ = 0;
};

void signal_in_every_scope(Task& task, const char* signal) {
  for (Scope scope : {Scope::kProcess, Scope::kGroup, Scope::kTree})
    EXPECT_GE(task.kill(signal, scope), 1u);
}

/// The signal has been sent when the call returns; the processes may end later, and later than the leader.
void expect_descendants(Task& task, int count) {
  EXPECT_TRUE(eventually([&] { return task.info(true)["descendants"] == count; })) << count;
}

TEST_F(SignalsTraced, G5_NoSignalEverGoesToEverybodyOrToAStranger) {
  const TaskPool pool = recorded();
  EXPECT_EQ(e2e::error_of([&] { pool.spawn({.exec = {"/nonexistent"}}); }).code(), "exec_failed");
  Task task = pool.spawn({.exec = awkward_command({"family"})});
  printed(task, 4);
  signal_in_every_scope(task, "WINCH");
  EXPECT_EQ(task.pause(), 4u);
  EXPECT_EQ(task.resume(), 4u);
  EXPECT_EQ(e2e::error_of([&] { task.kill(Signal(0)); }).code(), "bad_argument");
  EXPECT_EQ(task.pause(), 4u);
  EXPECT_EQ(task.kill("TERM"), 2u);
  wait_exit(task);
  expect_descendants(task, 2);
  for (const char* signal : {"TERM", "KILL", "WINCH"}) {
    EXPECT_EQ(e2e::error_of([&] { task.kill(signal); }).code(), "already_exited");
    EXPECT_EQ(e2e::error_of([&] { task.kill(signal, Scope::kProcess); }).code(), "already_exited");
  }
  EXPECT_EQ(task.kill("KILL", Scope::kTree), 2u);
  expect_descendants(task, 0);
  EXPECT_EQ(e2e::error_of([&] { task.pause(); }).code(), "already_exited");
  ASSERT_TRUE(task.restart());
  std::set<pid_t> own = printed(task, 8);
  EXPECT_EQ(task.remove({.grace = Seconds(0)}).survivors.size(), 0u);

  Task stubborn = pool.spawn({.exec = awkward_command({"family", "stubborn"})});
  own.merge(printed(stubborn, 4));
  EXPECT_EQ(stubborn.remove({.grace = Seconds(0.1)}).killed, 4u);
  Task hung_up = pool.spawn({.exec = awkward_command({"family"})});
  own.merge(printed(hung_up, 4));
  ASSERT_TRUE(e2e::send_signal(hung_up.pid(), SIGHUP));
  expect_only_signalled(own);
  EXPECT_GE(by_number(), 2u) << "groups are signalled by number";
  EXPECT_GE(by_handle(), 20u);
}

TEST_F(SignalsTraced, G5_AnAdoptersSignalsGoToTheTaskOnly) {
  const TaskPool tracing = recorded();
  Task task = awkward({"family"});
  const std::set<pid_t> own = printed(task, 4);
  kill_supervisor(task);
  Task adopted = tracing.adopt(task.pid());
  signal_in_every_scope(adopted, "WINCH");
  EXPECT_EQ(adopted.pause(), 4u);
  EXPECT_EQ(adopted.kill("TERM"), 2u);
  wait_exit(adopted);
  expect_descendants(adopted, 2);
  EXPECT_EQ(e2e::error_of([&] { adopted.kill("TERM"); }).code(), "already_exited");
  EXPECT_EQ(adopted.kill("TERM", Scope::kTree), 2u);
  adopted.remove();
  expect_only_signalled(own);
  EXPECT_GE(by_handle(), 10u);
}

TEST_F(SignalsTraced, G5_G7_AGuardsSignalsGoToTheTaskOnly) {
  const TaskPool pool = recorded({"-f"});
  Task task = pool.spawn(
      {.exec = awkward_command({"family", "stubborn"}), .on_supervisor_death = OnSupervisorDeath::kKill});
  const std::set<pid_t> own = printed(task, 4);
  kill_supervisor(task);
  expect_only_signalled(own);
  EXPECT_GE(by_handle(), 3u) << "those that are not the supervisor's own child";
  EXPECT_EQ(task.snapshot()["status"]["running"], false);
}

/// Stops the supervisor after it has seen a stop and before it has recorded it.
class BetweenTwoLooks : public SignalsTraced {
 protected:
  void SetUp() override {
    SignalsTraced::SetUp();
    task_.emplace(awkward({"sleep"}));
    child_ = child_of(*task_);
    task_->disconnect();
  }
  void meanwhile(const std::function<void()>& act) {
    const std::filesystem::path record = base() / "record";
    Attached tracer(task_->pid(),
                    {"-o", record.string(), "-e", "trace=waitid", "-e", "inject=waitid:signal=STOP:when=1"});
    ASSERT_TRUE(e2e::send_signal(child_, SIGSTOP));
    // The call itself is made before the signal takes effect.
    ASSERT_TRUE(eventually([&] { return e2e::read_whole(record).find("--- ") != std::string::npos; }));
    act();
    ASSERT_TRUE(e2e::send_signal(task_->pid(), SIGCONT));
    EXPECT_EQ(task_->call("ping"), "pong");
  }
  void TearDown() override {
    task_.reset();
    SignalsTraced::TearDown();
  }
  Task& task() { return *task_; }
  pid_t child() const { return child_; }

 private:
  std::optional<Task> task_;
  pid_t child_ = 0;
};

TEST_F(BetweenTwoLooks, G4_G5_AChildThatIsKilledThenIsNotForgotten) {
  meanwhile([&] {
    ASSERT_TRUE(e2e::send_signal(child(), SIGKILL));
    ASSERT_TRUE(eventually([&] { return e2e::gone(child()); }));
  });
  const WaitResult result = task().wait({.timeout = Seconds(20)});
  EXPECT_EQ(result.fired, "exit");
  EXPECT_EQ(result.status["state"], "exited");
  EXPECT_EQ(result.status["signal"], "KILL");
  EXPECT_EQ(e2e::error_of([&] { task().kill("TERM"); }).code(), "already_exited");
}

TEST_F(BetweenTwoLooks, G4_AChildThatGoesOnThenIsRunning) {
  meanwhile([&] {
    ASSERT_TRUE(e2e::send_signal(child(), SIGCONT));
    ASSERT_TRUE(eventually([&] { return e2e::process_state(child()) == 'S'; }));
  });
  EXPECT_EQ(task().info(true)["status"]["state"], "running");
  EXPECT_EQ(task().info()["status"]["paused"], false);
  EXPECT_EQ(task().snapshot()["status"]["state"], "running");
}

}  // namespace
}  // namespace bgtask::faults
