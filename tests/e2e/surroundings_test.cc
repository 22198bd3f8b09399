// What the child finds around itself: nothing of its parent's that it was not meant to have.
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <thread>

#include "tests/e2e/fixture.h"
#include "tests/e2e/started_program.h"

namespace bgtask::e2e {
namespace {

class SurroundingsTest : public E2eTest {
 protected:
  Json report_of(Task task) {
    EXPECT_EQ(wait_exit(task)["exit_code"], 0);
    return Json::parse(task.stream("stdout").read().data);
  }
  /// Signals at their defaults and unblocked, a session of its own, and only its streams open.
  void expect_clean(const Json& report, pid_t supervisor) {
    EXPECT_EQ(report["blocked"], "0000000000000000");
    EXPECT_EQ(report["ignored"], "0000000000000000");
    EXPECT_EQ(report["caught"], "0000000000000000");
    EXPECT_EQ(report["session"], report["pid"]);
    EXPECT_EQ(report["group"], report["pid"]);
    EXPECT_EQ(report["ppid"], supervisor);
    std::set<std::string> fds;
    for (const auto& fd : report["fds"].items())
      fds.insert(fd.key());
    EXPECT_EQ(fds, (std::set<std::string>{"0", "1", "2", report["env"]["BGTASK_DATA_FD"].get<std::string>()}))
        << report["fds"];
    for (const char* number : {"0", "1", "2"}) {
      EXPECT_EQ(report["fds"][number].get<std::string>().substr(0, 5), "pipe:") << report["fds"];
    }
    EXPECT_EQ(report["env"]["BGTASK_PID"], std::to_string(supervisor));
    EXPECT_EQ(report["env"]["BGTASK_SUPERVISOR_PID"], std::to_string(supervisor));
    EXPECT_EQ(report["env"]["BGTASK_POOL"], pool().path().string());
  }
};

TEST_F(SurroundingsTest, AreCleanInTheUsualCase) {
  Task task = awkward({"report"});
  expect_clean(report_of(task), task.pid());
}

// Of the caller's secrets, and of the cookie by which a CI system finds what it has to end.
class SupervisorEnvironmentTest : public E2eTest {
 protected:
  static constexpr char kSecret[] = "hunter2-of-the-caller";
  SupervisorEnvironmentTest() { setenv("CALLERS_SECRET", kSecret, 1); }
  ~SupervisorEnvironmentTest() override { unsetenv("CALLERS_SECRET"); }

  static std::string environment_of(pid_t pid) {
    return read_whole("/proc/" + std::to_string(pid) + "/environ");
  }
  static bool has_secret(pid_t pid) { return environment_of(pid).find(kSecret) != std::string::npos; }
  void expect_only_the_child_has_it(Task task) {
    EXPECT_TRUE(has_secret(child_of(task)));
    EXPECT_FALSE(has_secret(task.pid()));
    EXPECT_EQ(environment_of(task.pid()).find("PATH="), std::string::npos);
  }
};

TEST_F(SupervisorEnvironmentTest, HasNothingOfTheLibrarysCaller) {
  expect_only_the_child_has_it(awkward({"sleep"}));
}

TEST_F(SupervisorEnvironmentTest, HasNothingOfTheCommandLinesCaller) {
  const pid_t pid = std::stoi(bgtask({"run", "--", AWKWARD_PROGRAM, "sleep"}).out);
  expect_only_the_child_has_it(Task(pid, pool().path()));
}

TEST_F(SupervisorEnvironmentTest, IsEmptyInAGuardToo) {
  SpawnOptions options;
  options.on_supervisor_death = OnSupervisorDeath::kKill;
  Task task = awkward({"sleep"}, std::move(options));
  expect_only_the_child_has_it(task);
  EXPECT_FALSE(has_secret(parent_of(task.pid())));
}

TEST_F(SupervisorEnvironmentTest, IsEmptyAfterAdoption) {
  Task task = awkward({"sleep"});
  ASSERT_TRUE(send_signal(task.pid(), SIGKILL));
  ASSERT_TRUE(eventually([&] { return gone(task.pid()); }));
  expect_only_the_child_has_it(pool().adopt(task.pid()));
}

TEST_F(SupervisorEnvironmentTest, IsEmptyInTheForegroundToo) {
  StartedProgram program({BGTASK_PROGRAM, "run", "--behavior", "foreground", "--", AWKWARD_PROGRAM, "sleep"});
  ASSERT_TRUE(eventually([&] { return !pool().search({{"pid", program.pid()}}).empty(); }));
  expect_only_the_child_has_it(Task(program.pid(), pool().path()));
  program.signal(SIGTERM);
  program.wait();
}

TEST_F(SurroundingsTest, ShowNothingOfAnUntidyParent) {
  const ProgramResult spawned = in_child([this] {
    signal(SIGCHLD, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGRTMIN + 5, SIG_IGN);
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, nullptr);
    for (int i = 0; i < 500; ++i) {
      if (open("/dev/null", O_RDONLY) < 0) throw std::runtime_error("open");  // inheritable
    }
    for (int fd : {0, 1, 2})
      close(fd);
    const size_t before = open_fd_count();
    Task task = awkward({"report"});
    if (open_fd_count() != before) throw std::runtime_error("spawn leaves descriptors open");
    struct sigaction action {};
    sigaction(SIGCHLD, nullptr, &action);
    sigset_t mask;
    sigprocmask(SIG_SETMASK, nullptr, &mask);
    if (action.sa_handler != SIG_IGN || sigismember(&mask, SIGUSR1) != 1) {
      throw std::runtime_error("the caller's signals were touched");
    }
    if (task.wait({.timeout = Seconds(30)}).fired != "exit") throw std::runtime_error("no exit");
    return std::to_string(task.pid());
  });
  ASSERT_EQ(spawned.status, 0) << spawned.err;
  Task task(std::stoi(spawned.out), pool().path());
  expect_clean(report_of(task), task.pid());
}

TEST_F(SurroundingsTest, ShowNothingOfAnUntidyCallerOfTheProgram) {
  const ProgramResult run = in_child([] {
    signal(SIGCHLD, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, nullptr);
    for (int i = 0; i < 500; ++i) {
      if (open("/dev/null", O_RDONLY) < 0) throw std::runtime_error("open");
    }
    close(0);
    execl(BGTASK_PROGRAM, BGTASK_PROGRAM, "run", "-i", "--", AWKWARD_PROGRAM, "report", nullptr);
    return std::string();
  });
  EXPECT_EQ(run.status, 0);
  const auto tasks = pool().search(Json::object());
  ASSERT_EQ(tasks.size(), 1u);
  expect_clean(report_of(tasks[0]), tasks[0].pid());
}

TEST_F(SurroundingsTest, AreTheOnesAskedFor) {
  const Json report = report_of(awkward({"report"}, {.env = {{"GIVEN", "grün = x"}, {"EMPTY", ""}},
                                                     .cwd = base().string(),
                                                     .umask = 0027,
                                                     .limits = {{"nofile", {100, 200}}, {"core", 0}},
                                                     .nice = 5}));
  EXPECT_EQ(report["env"]["GIVEN"], "grün = x");
  EXPECT_EQ(report["env"]["EMPTY"], "");
  EXPECT_EQ(report["env"]["PATH"], std::getenv("PATH")) << "added to the caller's";
  EXPECT_EQ(report["cwd"], base().string());
  EXPECT_EQ(report["umask"], 0027);
  EXPECT_EQ(report["nofile"], Json({100, 200}));
  EXPECT_EQ(report["core"], Json({0, 0}));
  EXPECT_EQ(report["nice"], std::min(getpriority(PRIO_PROCESS, 0) + 5, 19));  // the most there is
}

TEST_F(SurroundingsTest, AreTheCallersWhereNothingWasAsked) {
  rlimit nofile{};
  getrlimit(RLIMIT_NOFILE, &nofile);
  const mode_t mask = umask(022);
  umask(mask);
  const Json report = report_of(awkward({"report"}));
  EXPECT_EQ(report["cwd"], std::filesystem::current_path().string());
  EXPECT_EQ(report["umask"], mask);
  EXPECT_EQ(report["nofile"], Json({nofile.rlim_cur, nofile.rlim_max}));
  EXPECT_EQ(report["nice"], getpriority(PRIO_PROCESS, 0));
}

TEST_F(SurroundingsTest, CanBeginWithAnEmptyEnvironment) {
  const Json report = report_of(awkward({"report"}, {.env = {{"ONLY", "this"}}, .clear_env = true}));
  std::set<std::string> names;
  for (const auto& variable : report["env"].items())
    names.insert(variable.key());
  EXPECT_EQ(names, (std::set<std::string>{"ONLY", "BGTASK_PID", "BGTASK_SUPERVISOR_PID", "BGTASK_POOL",
                                          "BGTASK_DATA_FD", "BGTASK_TOKEN"}));
}

TEST_F(SurroundingsTest, OfARestartAreThoseOfTheStart) {
  Task task = awkward({"report"}, {.env = {{"GIVEN", "value"}}, .cwd = "/", .umask = 0077});
  const Json first = report_of(task);
  ASSERT_TRUE(task.restart());
  const Json second = report_of(task);
  expect_clean(second, task.pid());
  EXPECT_EQ(second["env"], first["env"]);
  EXPECT_EQ(second["cwd"], "/");
  EXPECT_EQ(second["umask"], 0077);
}

TEST_F(SurroundingsTest, OfANullStdinAreTheNullDevice) {
  const Json report = report_of(awkward({"report"}, {.stdin = StdinMode::kNull}));
  EXPECT_EQ(report["fds"]["0"], "/dev/null");
}

TEST_F(SurroundingsTest, TheSupervisorItselfHoldsNothingOfTheCallers) {
  const std::filesystem::path held = base() / "held-open";
  write_whole(held, "");
  const int inheritable = open(held.c_str(), O_RDONLY);  // as a careless caller has it
  Task task = awkward({"sleep"});
  close(inheritable);
  const std::string fds = "/proc/" + std::to_string(task.pid()) + "/fd";
  for (const std::string& fd : names_in(fds)) {
    std::error_code closed_meanwhile;  // as the one on which it has just told that it started
    EXPECT_NE(std::filesystem::read_symlink(std::filesystem::path(fds) / fd, closed_meanwhile), held);
  }
  const std::string cwd = "/proc/" + std::to_string(task.pid()) + "/cwd";
  EXPECT_TRUE(eventually([&] { return std::filesystem::read_symlink(cwd) == "/"; }))
      << "it must not keep a file system busy";
}

TEST_F(SurroundingsTest, EnvironmentValuesAreNeverInWhatIsTold) {
  const std::string secret = "hunter2-not-to-be-seen";
  Task task = awkward({"sleep"}, {.env = {{"PASSWORD", secret}}});
  const std::string pid = std::to_string(task.pid());
  for (const std::string& text :
       {task.info(true).dump(), task.snapshot().dump(), read_whole(directory_of(task) / "status"),
        read_whole(directory_of(task) / "log"), bgtask({"info", "-o", "json", pid}).out,
        bgtask({"ls", "-o", "json"}).out}) {
    EXPECT_EQ(text.find(secret), std::string::npos) << text;
  }
}

TEST_F(SurroundingsTest, SpawningWorksFromManyThreadsAtOnce) {
  std::vector<std::thread> threads;
  std::vector<std::vector<Task>> tasks(8);
  for (auto& own : tasks) {
    threads.emplace_back([&own, this] {
      for (int i = 0; i < 10; ++i)
        own.push_back(awkward({"report"}));
    });
  }
  for (std::thread& thread : threads)
    thread.join();
  for (auto& own : tasks) {
    for (Task& task : own)
      expect_clean(report_of(task), task.pid());
  }
}

TEST_F(SurroundingsTest, SpawningDoesNotCopyALargeCaller) {
  // A child that copied this memory, or its page tables and then wrote, would not fit under the limit.
  const ProgramResult spawned = in_child([this] {
    constexpr size_t kLarge = size_t{1} << 30;
    void* memory = mmap(nullptr, kLarge, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw std::runtime_error("mmap");
    const auto touch = [memory] {
      for (size_t at = 0; at < kLarge; at += 4096)
        static_cast<char*>(memory)[at] = 1;
    };
    touch();  // once before, so that what a sanitizer keeps beside each page is there too
    rusage before{}, after{};
    getrusage(RUSAGE_SELF, &before);
    const Task task = awkward({"sleep"});
    getrusage(RUSAGE_SELF, &after);
    // A fork would write-protect all of it, and each page touched afterwards would fault.
    touch();
    rusage touched{};
    getrusage(RUSAGE_SELF, &touched);
    return std::to_string(touched.ru_minflt - after.ru_minflt);
  });
  ASSERT_EQ(spawned.status, 0) << spawned.err;
  EXPECT_LT(std::stol(spawned.out), 1000) << "faults after spawning";
}

}  // namespace
}  // namespace bgtask::e2e
