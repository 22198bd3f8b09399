#include "pool/src/launcher.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <fstream>
#include <sstream>
#include <thread>

#include "protocol/io/files.h"
#include "tests/pool/support.h"

namespace bgtask {
namespace {

using test::in_child;
using Clock = std::chrono::steady_clock;

constexpr auto kDeadline = std::chrono::seconds(20);

bool eventually(const std::function<bool()>& condition) {
  auto end = Clock::now() + kDeadline;
  while (!condition()) {
    if (Clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

std::string file_text(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// Ended; whoever inherits orphans may not have looked yet.
bool is_gone(pid_t pid) {
  std::string stat = file_text("/proc/" + std::to_string(pid) + "/stat");
  return stat.empty() || stat[stat.rfind(')') + 2] == 'Z';
}

size_t open_descriptors() {
  auto all = std::filesystem::directory_iterator("/proc/self/fd");
  return static_cast<size_t>(std::distance(begin(all), end(all)));
}

// Has this process any child, of whatever kind?
bool has_children() {
  return ::waitpid(-1, nullptr, WNOHANG | __WALL) >= 0 || errno != ECHILD;
}

class Launcher : public testing::Test {
 protected:
  Launcher() : pool_fd_(::open(dir_.path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)) {
    spec_.exec = {"true"};
  }

  Result<pid_t> run(const std::string& mode) {
    LaunchSettings settings;
    settings.pool_fd = pool_fd_.get();
    settings.supervisor_command = command_;
    settings.supervisor_env = env_;
    settings.supervisor_env["FAKE_MODE"] = mode;
    settings.supervisor_env["FAKE_REPORT"] = report_path();
    settings.answer_time = answer_time_;
    return launch(spec_, settings);
  }

  // The failure's word, or "ok"; the message where words are not enough.
  std::string outcome(const std::string& mode) {
    Result<pid_t> result = run(mode);
    return result ? "ok" : std::string(word(result.error().code));
  }

  std::string report_path() const { return (dir_.path() / "report").string(); }
  Json report() const { return Json::parse(file_text(report_path()), nullptr, false); }

  // What is not as the launch protocol has it; empty if all is. `caller` must not be its parent.
  std::string flaws(pid_t caller, int last_fd = wire::kReplyFd) const {
    Json r = report();
    std::string found;
    auto expect = [&](bool good, const std::string& what) { found += good ? "" : what + "; "; };
    expect(r.at("fds").size() == static_cast<size_t>(last_fd) + 1, "descriptors: " + r.at("fds").dump());
    for (const char* fd : {"0", "1", "2"})
      expect(r.at("fds").value(fd, "") == "/dev/null", std::string("fd ") + fd);
    expect(r.at("fds").value("3", "").rfind("/memfd:", 0) == 0, "fd 3");
    expect(r.at("fds").value("4", "") == dir_.path().string(), "fd 4");
    expect(r.at("fds").value("5", "").rfind("socket:", 0) == 0, "fd 5");
    expect(r.at("blocked") == "0000000000000000", "blocked " + r.at("blocked").dump());
    expect(r.at("ignored") == "0000000000000000", "ignored " + r.at("ignored").dump());
    expect(r.at("sid") == r.at("pid"), "no session of its own");
    expect(r.at("ppid") != caller, "a child of the caller");
    expect(r.at("spec").is_object(), "spec");
    return found;
  }

  std::string launch_and_inspect() {
    Result<pid_t> pid = run("answer");
    return pid ? flaws(::getpid()) : pid.error().message;
  }

  test::TempDir dir_;
  io::UniqueFd pool_fd_;
  wire::LaunchSpec spec_;
  std::vector<std::string> command_ = {FAKE_SUPERVISOR};
  std::map<std::string, std::string> env_;
  std::chrono::milliseconds answer_time_{30'000};
};

TEST_F(Launcher, GivesTheSupervisorWhatItNeedsAndNothingElse) {
  Result<pid_t> pid = run("answer");
  ASSERT_TRUE(pid) << pid.error().message;
  EXPECT_EQ(flaws(::getpid()), "");
  EXPECT_EQ(report().at("pid"), *pid);
  EXPECT_EQ(report().at("spec"), wire::to_json(spec_));
  EXPECT_EQ(report().at("argv"), (Json{FAKE_SUPERVISOR, "--launch", "true"}));
}

TEST_F(Launcher, TakesArgumentsAndEnvironmentForTheSupervisor) {
  command_.push_back("--more");
  env_["FAKE_EXTRA"] = "extra value";
  ::setenv("FAKE_EXTRA", "the caller's", 1);
  EXPECT_EQ(outcome("answer"), "ok");
  ::unsetenv("FAKE_EXTRA");
  EXPECT_EQ(report().at("argv"), (Json{FAKE_SUPERVISOR, "--more", "--launch", "true"}));
  EXPECT_EQ(report().at("extra"), "extra value");
}

TEST_F(Launcher, PassesNoVariableOfTheCallerButTheControlGroup) {
  ::setenv("CALLERS_SECRET", "hunter2", 1);
  ::setenv("BGTASK_CGROUP", "/somewhere", 1);
  EXPECT_EQ(outcome("answer"), "ok");
  ::unsetenv("CALLERS_SECRET");
  ::unsetenv("BGTASK_CGROUP");
  EXPECT_EQ(report().at("variables"), (Json{"BGTASK_CGROUP", "FAKE_MODE", "FAKE_REPORT"}));
}

TEST_F(Launcher, ShowsAShortNameOnly) {
  spec_.exec = {std::string(5000, 'x'), "secret"};
  EXPECT_EQ(outcome("answer"), "ok");
  EXPECT_EQ(report().at("argv").back(), std::string(200, 'x'));
  spec_.exec.clear();
  spec_.adopt = 4711;
  EXPECT_EQ(outcome("answer"), "ok");
  EXPECT_EQ(report().at("argv").back(), "adopt 4711");
}

TEST_F(Launcher, ALargeRequestIsNoMatter) {
  spec_.exec.assign(40, std::string(100'000, 'x'));
  EXPECT_EQ(outcome("answer"), "ok");
  EXPECT_GT(report().at("spec_size"), 4'000'000);
}

TEST_F(Launcher, TheSupervisorStays) {
  Result<pid_t> pid = run("stay");
  ASSERT_TRUE(pid);
  EXPECT_FALSE(is_gone(*pid));
  ::kill(*pid, SIGKILL);
  EXPECT_TRUE(eventually([&] { return is_gone(*pid); }));
}

// --- Callers of every kind

TEST_F(Launcher, FromACallerWithFiveHundredDescriptors) {
  EXPECT_EQ(in_child([&] {
              for (int i = 0; i < 500; ++i) {
                if (::open("/dev/zero", O_RDONLY) < 0) return std::string("open");
              }
              return launch_and_inspect();
            }),
            "");
}

TEST_F(Launcher, FromACallerWithoutStandardDescriptors) {
  EXPECT_EQ(in_child([&]() -> std::string {
              for (int fd : {0, 1, 2})
                ::close(fd);
              std::string found = launch_and_inspect();
              for (int fd : {0, 1, 2}) {
                if (::fcntl(fd, F_GETFD) >= 0) found += "something was left on " + std::to_string(fd);
              }
              return found;
            }),
            "");
}

TEST_F(Launcher, WhateverDescriptorsThePassedOnesAre) {
  // The pool's has one of the numbers that another is to get.
  for (int number = 0; number < 12; ++number) {
    EXPECT_EQ(in_child([&]() -> std::string {
                if (number == pool_fd_.get()) return launch_and_inspect();
                if (::dup3(pool_fd_.get(), number, O_CLOEXEC) != number) return "dup3";
                pool_fd_.reset(number);
                return launch_and_inspect();
              }),
              "")
        << number;
  }
}

TEST_F(Launcher, FromACallerThatIgnoresAndBlocksEverySignal) {
  EXPECT_EQ(in_child([&]() -> std::string {
              struct {
                void (*handler)(int);
                unsigned long rest[7];
              } ignore = {SIG_IGN, {}};
              std::uint64_t all = ~std::uint64_t{0}, mask = 0;
              for (int n = 1; n <= 64; ++n)
                ::syscall(SYS_rt_sigaction, n, &ignore, nullptr, 8);
              ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, nullptr, 8);
              std::string found = launch_and_inspect();
              ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, nullptr, &mask, 8);
              // KILL and STOP cannot be blocked; 32 and 33 are libc's own.
              std::uint64_t others = std::uint64_t{0b11} << 31 | 1u << (SIGKILL - 1) | 1u << (SIGSTOP - 1);
              if ((mask | others) != all) found += "the caller's mask has changed; ";
              struct sigaction action {};
              ::sigaction(SIGCHLD, nullptr, &action);
              if (action.sa_handler != SIG_IGN) found += "the caller's disposition has changed; ";
              return found;
            }),
            "");
}

std::atomic<int> g_child_signals = 0;

TEST_F(Launcher, ACallerWaitingForItsChildrenSeesNothing) {
  EXPECT_EQ(in_child([&]() -> std::string {
              struct sigaction action {};
              action.sa_handler = [](int) { ++g_child_signals; };
              ::sigaction(SIGCHLD, &action, nullptr);
              std::atomic<bool> stop = false;
              std::atomic<int> seen = 0;
              std::thread waiter([&] {
                while (!stop) {
                  if (::waitpid(-1, nullptr, 0) > 0) ++seen;
                  std::this_thread::yield();
                }
              });
              std::string found;
              for (int i = 0; i < 20; ++i)
                found += launch_and_inspect();
              for (const char* mode : {"die", "fail", "garbage"})
                outcome(mode);
              command_ = {"/no/such/program"};
              outcome("answer");
              stop = true;
              waiter.join();
              if (seen != 0) found += std::to_string(seen) + " children seen; ";
              if (g_child_signals != 0) found += std::to_string(g_child_signals) + " signals; ";
              if (has_children()) found += "children left; ";
              return found;
            }),
            "");
}

TEST_F(Launcher, ACallerThatWaitsForEverythingIsNoTrouble) {
  EXPECT_EQ(in_child([&]() -> std::string {
              std::atomic<bool> stop = false;
              std::thread waiter([&] {
                while (!stop)
                  ::waitpid(-1, nullptr, __WALL);
              });
              std::string found;
              for (int i = 0; i < 20; ++i)
                found += launch_and_inspect();
              stop = true;
              waiter.join();
              return found;
            }),
            "");
}

TEST_F(Launcher, FromManyThreadsAtOnce) {
  size_t before = open_descriptors();
  std::atomic<int> good = 0;
  std::atomic<bool> stop = false;
  std::thread busy([&] {
    while (!stop) {
      std::string memory(100'000, 'x');
      io::UniqueFd fd(::open("/dev/zero", O_RDONLY | O_CLOEXEC));
    }
  });
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 15; ++i)
        good += outcome("answer") == "ok";
    });
  }
  for (std::thread& thread : threads)
    thread.join();
  stop = true;
  busy.join();
  EXPECT_EQ(good, 8 * 15);
  EXPECT_EQ(open_descriptors(), before);
  EXPECT_FALSE(has_children());
}

TEST_F(Launcher, TheCallersMemoryIsNotCopied) {
  constexpr size_t kSize = size_t{4} << 30;
  constexpr size_t kStep = size_t{4} << 20;
  auto* memory = static_cast<volatile char*>(
      ::mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
  ASSERT_NE(memory, MAP_FAILED);
  ::madvise(const_cast<char*>(memory), kSize, MADV_NOHUGEPAGE);
  auto touch = [&] {
    for (size_t at = 0; at < kSize; at += kStep)
      memory[at] = 1;
  };
  auto faults = [] {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    return usage.ru_minflt;
  };
  touch();
  ASSERT_EQ(outcome("answer"), "ok");
  long before = faults();
  touch();
  // Had the pages been shared with a copy, each would have to be copied now.
  EXPECT_LT(faults() - before, static_cast<long>(kSize / kStep / 4));
  ::munmap(const_cast<char*>(memory), kSize);
}

// --- Behaviors

TEST_F(Launcher, AForegroundSupervisorIsTheCallersChild) {
  spec_.behavior = "foreground";
  Result<pid_t> pid = run("answer");
  ASSERT_TRUE(pid) << pid.error().message;
  int status = 0;
  EXPECT_EQ(::waitpid(*pid, &status, 0), *pid);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(report().at("ppid"), ::getpid());
  EXPECT_EQ(report().at("sid"), ::getsid(0));
  EXPECT_EQ(report().at("fds").size(), 6u);
}

TEST_F(Launcher, AForegroundFailureLeavesNoZombie) {
  spec_.behavior = "foreground";
  for (const char* mode : {"fail", "die", "crash", "garbage", "close"}) {
    EXPECT_NE(outcome(mode), "ok");
    EXPECT_FALSE(has_children()) << mode;
  }
  command_ = {"/no/such/program"};
  EXPECT_EQ(outcome("answer"), "exec_failed");
  EXPECT_FALSE(has_children());
}

TEST_F(Launcher, ABackgroundSupervisorIsGivenTheSessionLeader) {
  spec_.behavior = "background";
  EXPECT_EQ(in_child([&]() -> std::string {
              ::setsid();
              Result<pid_t> pid = run("answer");
              if (!pid) return pid.error().message;
              std::string found = flaws(::getpid(), wire::kLeaderFd);
              if (report().at("leader") != std::to_string(::getpid())) found += "leader " + report().dump();
              return found;
            }),
            "");
}

TEST_F(Launcher, BackgroundNeedsALivingSessionLeader) {
  spec_.behavior = "background";
  EXPECT_EQ(in_child([&]() -> std::string {
              // A leader that starts this very test again in a child and ends.
              int fds[2];
              if (::pipe(fds) != 0) return "pipe";
              pid_t leader = ::fork();
              if (leader == 0) {
                ::setsid();
                if (::fork() == 0) {
                  bool gone = eventually([] { return ::kill(::getsid(0), 0) != 0; });
                  Result<pid_t> pid = run("answer");
                  std::string said =
                      pid ? "it started" : std::string(word(pid.error().code)) + " " + pid.error().message;
                  bool told = io::write_all(fds[1], gone ? said : "the leader did not end").has_value();
                  ::_exit(told ? 0 : 1);
                }
                ::_exit(0);
              }
              ::waitpid(leader, nullptr, 0);
              ::close(fds[1]);
              std::string said = io::read_all(fds[0], 4096).value_or("nothing");
              return said.rfind("bad_argument behavior", 0) == 0 ? "" : said;
            }),
            "");
}

// --- Failures

TEST_F(Launcher, AMissingSupervisorIsNamed) {
  command_ = {"/no/such/program"};
  Result<pid_t> pid = run("answer");
  ASSERT_FALSE(pid);
  EXPECT_EQ(pid.error().code, ErrorCode::kExecFailed);
  EXPECT_EQ(pid.error().os_error, ENOENT);
  EXPECT_EQ(pid.error().data, (Json{{"supervisor", "/no/such/program"}}));
  EXPECT_NE(pid.error().message.find("/no/such/program"), std::string::npos);
  command_ = {"/"};
  EXPECT_EQ(run("answer").error().os_error, EACCES);
  EXPECT_FALSE(has_children());
}

TEST_F(Launcher, TheSupervisorsErrorComesThrough) {
  Result<pid_t> pid = run("fail");
  ASSERT_FALSE(pid);
  EXPECT_EQ(pid.error().code, ErrorCode::kExecFailed);
  EXPECT_EQ(pid.error().os_error, ENOENT);
  EXPECT_EQ(pid.error().message, "cannot execute 'x'");
  EXPECT_EQ(pid.error().data.at("more"), 1);
  EXPECT_TRUE(is_gone(report().at("pid")));
}

TEST_F(Launcher, AWordOfANewerSupervisorIsKept) {
  Result<pid_t> pid = run("new_word");
  ASSERT_FALSE(pid);
  EXPECT_EQ(pid.error().data.at("error"), "brand_new");
}

struct Bad {
  const char* mode;
  const char* outcome;
};

void PrintTo(const Bad& bad, std::ostream* out) {
  *out << bad.mode;
}

class BadSupervisor : public Launcher, public testing::WithParamInterface<Bad> {};

TEST_P(BadSupervisor, IsATypedErrorAndLeavesNothing) {
  size_t before = open_descriptors();
  // The others end without an answer, and may be late to begin.
  if (GetParam().outcome == std::string("unresponsive")) answer_time_ = std::chrono::milliseconds(5000);
  EXPECT_EQ(outcome(GetParam().mode), GetParam().outcome);
  EXPECT_EQ(open_descriptors(), before);
  EXPECT_FALSE(has_children());
  EXPECT_TRUE(is_gone(report().at("pid")));
}

INSTANTIATE_TEST_SUITE_P(Table, BadSupervisor,
                         testing::Values(Bad{"die", "lost"}, Bad{"crash", "lost"}, Bad{"garbage", "lost"},
                                         Bad{"no_object", "lost"}, Bad{"bad_pid", "lost"},
                                         Bad{"empty_message", "lost"}, Bad{"close", "lost"},
                                         Bad{"stubborn", "lost"}, Bad{"mute", "unresponsive"}));

TEST_F(Launcher, ATakenNameIsTriedAgain) {
  env_["FAKE_COUNT"] = (dir_.path() / "count").string();
  env_["FAKE_TIMES"] = "4";
  EXPECT_EQ(outcome("exists"), "ok");
  EXPECT_TRUE(report().at("spec").is_object());
  EXPECT_EQ(file_text(env_["FAKE_COUNT"]), "xxxxx");
}

TEST_F(Launcher, ButNotForEver) {
  env_["FAKE_COUNT"] = (dir_.path() / "count").string();
  env_["FAKE_TIMES"] = "1000";
  EXPECT_EQ(outcome("exists"), "exists");
  EXPECT_EQ(file_text(env_["FAKE_COUNT"]), "xxxxx");
}

TEST_F(Launcher, FourFreeDescriptorsAreEnoughAndFewerATypedError) {
  EXPECT_EQ(in_child([&]() -> std::string {
              rlimit limit{64, 64};
              ::setrlimit(RLIMIT_NOFILE, &limit);
              std::vector<int> fillers;
              for (int fd; (fd = ::open("/dev/zero", O_RDONLY)) >= 0;)
                fillers.push_back(fd);
              for (int free = 0; free < 4; ++free) {
                if (std::string said = outcome("answer"); said != "too_many_files") {
                  return std::to_string(free) + " free: " + said;
                }
                ::close(fillers.back());
                fillers.pop_back();
              }
              Result<pid_t> pid = run("answer");
              return pid ? "" : pid.error().message;
            }),
            "");
}

TEST_F(Launcher, TooManyProcessesIsATypedError) {
  EXPECT_EQ(in_child([&] {
              test::become(test::kSomeUser);
              rlimit limit{1, 1};
              ::setrlimit(RLIMIT_NPROC, &limit);
              return outcome("answer");
            }),
            "process_limit");
}

TEST_F(Launcher, AFileSizeLimitIsATypedErrorAndNoSignal) {
  EXPECT_EQ(in_child([&]() -> std::string {
              rlimit limit{0, 0};
              ::setrlimit(RLIMIT_FSIZE, &limit);
              std::string first = outcome("answer");
              sigset_t pending;
              ::sigpending(&pending);
              return ::sigismember(&pending, SIGXFSZ) == 1 ? "a signal is left" : first;
            }),
            "file_limit");
}

}  // namespace
}  // namespace bgtask
