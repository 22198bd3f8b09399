// How a task relates to those around it: its caller's session, a service manager, a lock file, tasks inside
// tasks.
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <sstream>

#include "tests/e2e/fixture.h"

namespace bgtask::e2e {
namespace {

using BehaviorTest = E2eTest;

/// A process that leads a session, does `body`, says what it returns, and stays until told to go.
class Leader {
 public:
  explicit Leader(const std::function<std::string()>& body) {
    int said[2], gate[2];
    if (pipe2(said, O_CLOEXEC) != 0 || pipe2(gate, O_CLOEXEC) != 0) throw std::runtime_error("pipe2");
    pid_ = fork();
    if (pid_ == 0) {
      close(gate[1]);
      setsid();
      std::string text;
      try {
        text = body();
      } catch (const std::exception& e) {
        text = e.what();
      }
      if (write(said[1], text.data(), text.size()) < 0) _exit(1);
      close(said[1]);
      char c;
      _exit(read(gate[0], &c, 1) < 0 ? 1 : 0);
    }
    close(said[1]);
    close(gate[0]);
    gate_ = gate[1];
    char buffer[4096];
    for (ssize_t n; (n = read(said[0], buffer, sizeof buffer)) > 0;)
      said_.append(buffer, static_cast<size_t>(n));
    close(said[0]);
  }
  ~Leader() { leave(); }
  Leader(const Leader&) = delete;
  Leader& operator=(const Leader&) = delete;
  const std::string& said() const { return said_; }
  void leave() {
    if (gate_ < 0) return;
    close(std::exchange(gate_, -1));
    waitpid(pid_, nullptr, 0);
  }

 private:
  pid_t pid_ = -1;
  int gate_ = -1;
  std::string said_;
};

TEST_F(BehaviorTest, ADaemonOutlivesItsCallersSession) {
  Leader leader([this] { return std::to_string(awkward({"sleep"}).pid()); });
  Task task(std::stoi(leader.said()), pool().path());
  leader.leave();
  Task brief = awkward({"exit", "0"});  // time enough for anything to happen
  wait_exit(brief);
  EXPECT_EQ(task.info(true)["status"]["state"], "running");
  EXPECT_EQ(getsid(task.pid()), task.pid()) << "a session of its own";
  EXPECT_NE(parent_of(task.pid()), getpid());
}

TEST_F(BehaviorTest, ABackgroundTaskEndsWhenTheSessionLeaderIsGone) {
  Leader leader([this] {
    // Spawned not by the leader but by a process of its session, which leaves at once.
    return in_child([this] {
             return std::to_string(awkward({"family"}, {.behavior = Behavior::kBackground}).pid());
           })
        .out;
  });
  Task task(std::stoi(leader.said()), pool().path());
  family_of(task, 4);
  EXPECT_EQ(task.info(true)["status"]["state"], "running") << "its caller is gone, the leader is not";
  task.disconnect();
  leader.leave();
  EXPECT_TRUE(eventually([&] { return gone(task.pid()); }));
  EXPECT_TRUE(eventually([&] { return names_in(pool().path()).empty(); }));
  EXPECT_TRUE(eventually([&] { return own_processes().empty(); }));
}

TEST_F(BehaviorTest, AForegroundSupervisorIsTheCallersChild) {
  Task task = awkward({"puppet"}, {.behavior = Behavior::kForeground});
  EXPECT_EQ(parent_of(task.pid()), getpid());
  task.stream("stdin").write_all("exit 4\n");
  EXPECT_EQ(wait_exit(task)["exit_code"], 4);
  EXPECT_EQ(waitpid(task.pid(), nullptr, WNOHANG), 0) << "it stays after its child's end like any other";
  EXPECT_TRUE(task.restart());
  EXPECT_EQ(task.remove().signalled, 1u);
  int status = -1;
  EXPECT_EQ(waitpid(task.pid(), &status, 0), task.pid()) << "whoever started it reaps it";
  EXPECT_TRUE(WIFEXITED(status)) << status;
}

TEST_F(BehaviorTest, ALockFileIsHeldWhileTheChildRuns) {
  const std::string lock = (base() / "lock").string();
  Task holder = awkward({"puppet"}, {.lock_file = lock});
  Error refusal = error_of([&] { awkward({"sleep"}, {.lock_file = lock}); });
  EXPECT_EQ(refusal.code(), "locked");
  EXPECT_NE(std::string(refusal.what()).find(std::to_string(holder.pid())), std::string::npos)
      << refusal.what();
  EXPECT_EQ(names_in(pool().path()).size(), 1u) << "nothing is left of the one refused";

  holder.stream("stdin").write_all("exit 0\n");
  wait_exit(holder);
  Task second = awkward({"puppet"}, {.lock_file = lock});
  refusal = error_of([&] { holder.restart(); });
  EXPECT_EQ(refusal.code(), "locked") << "it is taken again by restart";
  EXPECT_NE(std::string(refusal.what()).find(std::to_string(second.pid())), std::string::npos)
      << refusal.what();
  EXPECT_EQ(holder.info(true)["status"]["state"], "exited");
  second.remove();
  EXPECT_TRUE(holder.restart());
  EXPECT_EQ(error_of([&] { awkward({"sleep"}, {.lock_file = lock}); }).code(), "locked");
}

TEST_F(BehaviorTest, ALockFileOfADeadSupervisorIsFree) {
  const std::string lock = (base() / "lock").string();
  Task holder = awkward({"sleep"}, {.lock_file = lock, .on_supervisor_death = OnSupervisorDeath::kKill});
  kill_supervisor(holder);
  ASSERT_TRUE(eventually([this] { return own_processes().empty(); }));
  EXPECT_NO_THROW(awkward({"sleep"}, {.lock_file = lock}));
}

class NestedTest : public E2eTest {
 protected:
  void SetUp() override {
    E2eTest::SetUp();
    outer_.emplace(shell(std::string(BGTASK_PROGRAM) + " run -- " + AWKWARD_PROGRAM + " family; exec " +
                         AWKWARD_PROGRAM + " family"));
    ASSERT_TRUE(eventually([this] {
      std::istringstream lines(outer_->stream("stdout").peek(0).data);
      pid_t pid = 0;
      if (!(lines >> pid)) return false;
      inner_.emplace(pid, pool().path());
      return std::count(std::istreambuf_iterator<char>(lines), {}, '\n') == 5;
    }));
    inner_family_ = family_of(*inner_, 4);
  }
  void TearDown() override {
    outer_.reset();
    inner_.reset();
    E2eTest::TearDown();
  }
  void expect_inner_untouched() {
    for (const auto& member : inner_family_) {
      EXPECT_EQ(process_state(member.second), 'S') << member.first;
    }
    EXPECT_EQ(inner_->info(true)["status"]["state"], "running");
  }
  std::optional<Task> outer_, inner_;
  std::map<std::string, pid_t> inner_family_;
};

TEST_F(NestedTest, TasksAreNotCounted) {
  EXPECT_EQ(outer_->info(true)["descendants"], 3);
  EXPECT_EQ(inner_->info(true)["descendants"], 3);
}

TEST_F(NestedTest, TasksAreNotPaused) {
  EXPECT_EQ(outer_->pause(), 4u);
  expect_inner_untouched();
  EXPECT_EQ(outer_->resume(), 4u);
}

TEST_F(NestedTest, TasksAreNotKilled) {
  EXPECT_EQ(outer_->kill("KILL", Scope::kTree), 4u);
  wait_exit(*outer_);
  expect_inner_untouched();
}

TEST_F(NestedTest, TasksAreNotDeleted) {
  EXPECT_EQ(outer_->remove().signalled, 4u);
  expect_inner_untouched();
  EXPECT_EQ(inner_->remove().signalled, 4u);
}

TEST_F(NestedTest, TasksDoNotDieWithAnOuterSupervisor) {
  kill_supervisor(*outer_);
  expect_inner_untouched();
}

}  // namespace
}  // namespace bgtask::e2e
