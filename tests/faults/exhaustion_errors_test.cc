// Each system call of each request fails once with each error that an overloaded machine returns: the result
// is a typed error or success, the supervisor lives, and the next request works.
#include <algorithm>
#include <set>
#include <sstream>

#include "tests/faults/exhaustion_requests.h"

namespace bgtask::faults {
namespace {

using e2e::RawClient;

constexpr const char* kErrors[] = {"EIO", "ENOSPC", "EACCES", "EROFS", "ENOMEM"};

/// Calls that are not made to fail: a skipped close is itself a leak, brk returns no errno, the others never
/// fail this way, and libuv aborts when epoll calls fail.
const std::set<std::string> kLeftAlone = {
    "brk",   "close",      "epoll_wait",   "epoll_pwait",    "epoll_ctl",      "waitid",
    "wait4", "getpid",     "geteuid",      "getuid",         "gettid",         "getppid",
    "umask", "exit_group", "rt_sigreturn", "rt_sigprocmask", "restart_syscall"};

class FailingCalls : public RequestTest {
 protected:
  /// Names of the system calls of a supervisor while it answers.
  std::set<std::string> calls_for(const RequestKind& kind) const {
    const std::filesystem::path record = base() / "strace.txt";
    Task task = task_for(kind, pool());
    {
      Attached tracer(task.pid(), {"-o", record.string(), "-e", "signal=none"});
      RawClient client(socket_of(task));
      expect_typed(ask(client, kind));
    }
    end(task);
    std::set<std::string> names;
    std::istringstream lines(e2e::read_whole(record));
    for (std::string line; std::getline(lines, line);) {
      const std::string name = line.substr(0, line.find('('));
      if (name.find_first_of(" <+=") == std::string::npos && !kLeftAlone.contains(name)) names.insert(name);
    }
    std::filesystem::remove(record);
    return names;
  }

  void fail_each_call_of(const RequestKind& kind) {
    SCOPED_TRACE(kind.name);
    const int failed = failed_checks();
    const std::set<std::string> names = calls_for(kind);
    EXPECT_TRUE(names.contains("recvfrom")) << testing::PrintToString(names);
    std::optional<Task> task;
    size_t turn = seed();
    for (const std::string& name : names) {
      ++turn;
      for (size_t i = 0; i < std::size(kErrors); ++i) {
        if (!nightly() && turn % std::size(kErrors) != i) continue;  // one error for each call, in turn
        SCOPED_TRACE(name + " " + kErrors[i]);
        if (!task) task.emplace(task_for(kind, pool()));
        Json reply;
        {
          Attached tracer(task->pid(), {"-e", "inject=" + name + ":error=" + kErrors[i] + ":when=1"});
          RawClient client(socket_of(*task));
          ASSERT_TRUE(client.connected());
          reply = ask(client, kind);
        }
        expect_typed(reply);
        expect_works(*task, kind, reply);
        if (failed_checks() != failed) return static_cast<void>(ADD_FAILURE() << reply);
        if (kind.needs_fresh) end(*task), task.reset();
      }
    }
    if (task) end(*task);
  }
};

TEST_F(FailingCalls, G1_G6_G8_OfEveryRequest) {
  for (const RequestKind& kind : request_kinds())
    fail_each_call_of(kind);
}

}  // namespace
}  // namespace bgtask::faults
