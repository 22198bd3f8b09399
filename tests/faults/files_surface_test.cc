// Attack surface: no program has more rights than its caller, and the only sockets are the tasks' own in the
// file system.
#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <csignal>
#include <sstream>

#include "tests/faults/files_fixture.h"

namespace bgtask::faults {
namespace {

using FilesSurface = FilesTest;

TEST_F(FilesSurface, G11_NothingBuiltOrInstalledHasRightsOfItsOwn) {
  const std::filesystem::path build = std::filesystem::path(BGTASK_PROGRAM).parent_path().parent_path();
  const std::filesystem::path prefix = base() / "installed";
  const e2e::ProgramResult installed = e2e::run_program(
      {"cmake", "--install", build.string(), "--prefix", prefix.string(), "--component", "runtime"});
  ASSERT_EQ(installed.status, 0) << installed.out << installed.err;
  size_t programs = 0;
  for (const std::filesystem::path& top : {prefix, build / "bin"}) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(top)) {
      const mode_t mode = mode_of(entry.path());
      EXPECT_EQ(mode & (S_ISUID | S_ISGID), 0u) << entry.path();
      EXPECT_EQ(mode & S_IWOTH, S_ISLNK(mode) ? static_cast<mode_t>(S_IWOTH) : 0u) << entry.path();
      char capabilities[64];
      EXPECT_LT(::lgetxattr(entry.path().c_str(), "security.capability", capabilities, sizeof capabilities),
                0)
          << entry.path() << " has capabilities";
      programs += S_ISREG(mode) && (mode & S_IXUSR) != 0 ? 1 : 0;
    }
  }
  EXPECT_GE(programs, 4u) << "both programs, built and installed";
}

/// Lines of a table of /proc/net after its header.
std::string rows_of(const std::string& table) {
  std::istringstream lines(e2e::read_whole("/proc/self/net/" + table));
  std::string header, rows;
  std::getline(lines, header);
  for (std::string line; std::getline(lines, line);)
    rows += table + ": " + line + "\n";
  return rows;
}

/// All current sockets that are reachable without the file system.
std::string reachable() {
  std::string found;
  for (const char* table : {"tcp", "tcp6", "udp", "udp6", "udplite", "raw", "raw6", "icmp", "packet"})
    found += rows_of(table);
  for (const std::string& name : named_sockets()) {
    if (name[0] == '@') found += "abstract: " + name + "\n";
  }
  return found;
}

/// Takes snapshots in a loop, in a separate process.
class Watcher {
 public:
  Watcher() {
    EXPECT_EQ(::pipe2(stop_, O_CLOEXEC), 0);
    EXPECT_EQ(::pipe2(report_, O_CLOEXEC), 0);
    pid_ = ::fork();
    if (pid_ == 0) watch();
    ::close(stop_[0]);
    ::close(report_[1]);
  }
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;
  /// The sockets found, or "N looks" if there were none.
  std::string finish() {
    ::close(stop_[1]);
    std::string text;
    char buffer[4096];
    for (ssize_t n; (n = ::read(report_[0], buffer, sizeof buffer)) > 0;)
      text.append(buffer, static_cast<size_t>(n));
    ::close(report_[0]);
    ::waitpid(pid_, nullptr, 0);
    return text;
  }

 private:
  [[noreturn]] void watch() {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::close(stop_[1]);
    std::string found;
    int looks = 0;
    for (pollfd stop{stop_[0], POLLIN, 0}; (::poll(&stop, 1, 1) == 0 || looks <= 5) && found.empty(); ++looks)
      found = reachable();
    if (found.empty() && looks > 5) found = "nothing";
    (void)!::write(report_[1], found.data(), found.size());
    ::_exit(0);
  }
  int stop_[2], report_[2];
  pid_t pid_;
};

TEST_F(FilesSurface, G11_ThroughoutATasksLifeNoSocketIsAbstractOrOnANetwork) {
  ASSERT_EQ(reachable(), "");
  Watcher watcher;
  const std::filesystem::path commands = make_fifo("commands");
  Task task = awkward({"puppet", commands.string()}, {.meta = {{"name", "watched"}}});
  Task other = pool().spawn({.exec = awkward_command({"puppet"}), .rings = Rings::kMemory});
  e2e::write_whole(commands, "out hello\nerr there\ndata message\n");
  EXPECT_TRUE(wait_limit(task, "data", 1));
  e2e::RawClient follower(socket_of(task));
  follower.result("subscribe", {{"events", {"output", "exit", "meta", "stream"}}, {"cursor", 0}});
  EXPECT_EQ(task.stream("stdout").read().data, "hello\n");
  task.apply_meta({{"a", 1}});
  task.pause();
  task.resume();
  task.kill("TERM");
  EXPECT_EQ(wait_exit(task)["signal"], "TERM");
  EXPECT_TRUE(task.restart());
  EXPECT_EQ(bgtask({"ls"}).status, 0);
  EXPECT_EQ(reachable(), "");
  kill_supervisor(task);
  Task adopted = pool().adopt(task.pid());
  EXPECT_EQ(adopted.info(true)["status"]["state"], "running");
  EXPECT_EQ(reachable(), "");
  adopted.remove();
  other.remove();
  EXPECT_EQ(watcher.finish(), "nothing");
}

}  // namespace
}  // namespace bgtask::faults
