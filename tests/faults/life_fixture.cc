#include "tests/faults/life_fixture.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <set>
#include <sstream>

#include "protocol/wire/error_code.h"

namespace bgtask::faults {

bool LifeTest::only_bystander_files() {
  return e2e::names_in(pool().path()) == std::vector<std::string>{std::to_string(bystander().pid())};
}

void LifeTest::expect_only_bystander(const std::vector<pid_t>& others) {
  const auto left = [&] {
    std::vector<pid_t> processes = other_processes();
    std::erase_if(processes, [&](pid_t pid) {
      return pid == bystander().pid() || e2e::parent_of(pid) == bystander().pid() ||
             std::find(others.begin(), others.end(), pid) != others.end();
    });
    return processes;
  };
  EXPECT_TRUE(eventually([&] { return left().empty(); }))
      << "processes are left: " << testing::PrintToString(left());
  // Cleans up so that one failure does not cause others.
  for (pid_t pid : left())
    e2e::send_signal(pid, SIGKILL);
  EXPECT_TRUE(only_bystander_files())
      << "files are left: " << testing::PrintToString(e2e::names_in(pool().path()));
}

void LifeTest::expect_collected() {
  EXPECT_TRUE(eventually([&] {
    pool().gc();
    return only_bystander_files();
  })) << testing::PrintToString(e2e::names_in(pool().path()));
}

void LifeTest::end_supervisor(pid_t pid) {
  e2e::send_signal(pid, SIGKILL);
  ASSERT_TRUE(eventually([&] { return e2e::gone(pid); }));
}

void LifeTest::expect_whole_then_remove(Task task) {
  const Json seen = task.snapshot();
  EXPECT_EQ(seen["pid"], task.pid());
  EXPECT_EQ(seen["status"]["running"], true) << seen["status"];
  ASSERT_TRUE(seen["child_pid"].is_number_integer()) << seen;
  const auto child = seen["child_pid"].get<pid_t>();
  EXPECT_FALSE(e2e::gone(child));
  end_supervisor(task.pid());
  EXPECT_EQ(task.snapshot()["status"]["running"], true) << "its child lives and is not recognised";
  Task adopted = pool().adopt(task.pid());
  EXPECT_EQ(adopted.info(true)["child_pid"], child);
  EXPECT_EQ(adopted.remove({.grace = Seconds(0)}).survivors, std::vector<pid_t>());
  EXPECT_TRUE(e2e::gone(child));
}

void LifeTest::remove_whatever_it_is(pid_t id) {
  EXPECT_TRUE(eventually([&] {
    const std::optional<Task> found = pool().task(id);
    if (!found) return true;
    Task task = *found;
    const std::string word = word_of([&] { task.remove({.grace = Seconds(0)}); });
    if (word == "running") word_of([&] { pool().adopt(task.pid()); });
    return false;
  })) << "task "
      << id << " cannot be removed";
}

std::string LifeTest::word_of(const std::function<void()>& act) {
  try {
    act();
  } catch (const Error& error) {
    EXPECT_TRUE(error_code(error.code()).has_value()) << error.code() << ": " << error.what();
    EXPECT_FALSE(std::string(error.what()).empty());
    return error.code();
  }
  return "";
}

Victim::Victim(pid_t pid) {
  // Two ticks of the kernel's clock (100 a second): within one tick, a new owner of a pid cannot be told from
  // the former one.
  constexpr timespec kTwoTicks{0, 20'000'000};
  ::nanosleep(&kTwoTicks, nullptr);
  // A pid is free once process 1 has reaped its last owner, which may take a while.
  const bool had = eventually([&] {
    sigset_t all, before;
    sigfillset(&all);
    ::sigprocmask(SIG_SETMASK, &all, &before);
    if (pid != 0) {
      const std::string text = std::to_string(pid - 1);
      e2e::write_whole("/proc/sys/kernel/ns_last_pid", text);
    }
    pid_ = ::fork();
    if (pid_ == 0) {
      ::setsid();
      for (;;)
        ::pause();
    }
    ::sigprocmask(SIG_SETMASK, &before, nullptr);
    if (pid_ < 0) return false;  // no process to kill
    if (pid == 0 || pid_ == pid) return true;
    ::kill(pid_, SIGKILL);  // ours and not yet reaped
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
    return false;
  });
  EXPECT_TRUE(had) << "pid " << pid << " cannot be had";
  EXPECT_TRUE(eventually([&] { return ::getpgid(pid_) == pid_ && e2e::process_state(pid_) == 'S'; }));
}

Victim::~Victim() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);  // ours and not yet reaped
  ::waitpid(pid_, nullptr, 0);
}

void Victim::expect_untouched() const {
  EXPECT_EQ(e2e::process_state(pid_), 'S') << "a process that is none of the task's was killed or stopped";
  std::istringstream lines(e2e::read_whole("/proc/" + std::to_string(pid_) + "/status"));
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind("SigPnd:", 0) == 0 || line.rfind("ShdPnd:", 0) == 0) {
      EXPECT_EQ(line.substr(8), "0000000000000000") << "a signal was sent to it";
    }
  }
}

uint64_t start_tick_of(pid_t pid) {
  const std::string stat = e2e::read_whole("/proc/" + std::to_string(pid) + "/stat");
  std::istringstream fields(stat.substr(std::min(stat.size(), stat.rfind(')') + 2)));
  std::string field;
  constexpr int kFirst = 3, kStart = 22;
  for (int i = kFirst; i <= kStart; ++i)
    fields >> field;
  return std::strtoull(field.c_str(), nullptr, 10);
}

std::vector<SystemCall> selection(const std::vector<SystemCall>& calls, size_t step) {
  if (nightly()) return calls;
  std::vector<SystemCall> chosen;
  for (size_t i = seed() % step; i < calls.size(); i += step)
    chosen.push_back(calls[i]);
  return chosen;
}

std::vector<std::string> failing(const SystemCall& call, const std::string& error) {
  return {"-e", "inject=" + call.name + ":error=" + error + ":when=" + std::to_string(call.nth)};
}

std::vector<std::string> crashing(const SystemCall& call) {
  return {"-e", "inject=" + call.name + ":signal=KILL:when=" + std::to_string(call.nth)};
}

bool can_fail(const SystemCall& call) {
  // The first execve is the tracer's own.
  static const std::set<std::string> kNever = {
      "execve",          "close",        "munmap",    "exit_group", "getpid",          "getppid",
      "geteuid",         "umask",        "rseq",      "arch_prctl", "set_tid_address", "gettid",
      "set_robust_list", "rt_sigreturn", "epoll_ctl", "epoll_wait", "epoll_pwait"};  // libuv aborts
  return !kNever.contains(call.name);
}

}  // namespace bgtask::faults
