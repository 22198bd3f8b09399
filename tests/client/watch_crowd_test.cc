// Ten thousand tasks in one Watch. Their supervisors are one process that answers for all: its socket and its
// lock have a name in each task's directory.
#include <bgtask/watch.h>
#include <gtest/gtest.h>
#include <malloc.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "protocol/io/unix_socket.h"
#include "tests/client/support.h"

namespace bgtask {
namespace {

namespace fs = std::filesystem;
using test::status_document;
using Kind = WatchEvent::Kind;

constexpr pid_t kMostTasks = 10'000;
constexpr rlim_t kOtherFiles = 200;

class MoreFiles {
 public:
  MoreFiles() {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    rlimit all = before_;
    all.rlim_cur = before_.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &all);
  }
  ~MoreFiles() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  pid_t tasks() const {
    return static_cast<pid_t>(std::min<rlim_t>(kMostTasks, before_.rlim_max - kOtherFiles));
  }

 private:
  rlimit before_{};
};

/// Answers every request as a subscription; sends an end to all at each SIGUSR1; ends at SIGUSR2.
[[noreturn]] void supervise(int listener, std::size_t tasks) {
  sigset_t orders;
  ::sigemptyset(&orders);
  ::sigaddset(&orders, SIGUSR1);
  ::sigaddset(&orders, SIGUSR2);
  const int signals = ::signalfd(-1, &orders, SFD_CLOEXEC);
  const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
  const auto add = [&](int fd) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
  };
  add(signals);
  add(listener);
  const std::string answer = wire::encode_msgpack(wire::make_reply(1, {{"next", 1}}));
  const std::string end = wire::encode_msgpack(
      wire::make_event({{"event", "exit"}, {"status", {{"state", "exited"}, {"exit_code", 0}}}}));
  std::vector<int> clients;
  bool orders_due = false;
  for (;;) {
    epoll_event ready[64];
    const int count = ::epoll_wait(epoll, ready, 64, -1);
    for (int i = 0; i < count; ++i) {
      const int fd = ready[i].data.fd;
      if (fd == signals) {
        signalfd_siginfo info{};
        static_cast<void>(::read(signals, &info, sizeof info));
        if (info.ssi_signo == SIGUSR2) ::_exit(0);
        orders_due = true;
      } else if (fd == listener) {
        for (int client; (client = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC)) >= 0;) {
          clients.push_back(client);
          add(client);
        }
      } else {
        char request[4096];
        if (::recv(fd, request, sizeof request, 0) <= 0) ::epoll_ctl(epoll, EPOLL_CTL_DEL, fd, nullptr);
        ::send(fd, answer.data(), answer.size(), MSG_NOSIGNAL);
      }
    }
    if (!orders_due || clients.size() < tasks) continue;
    orders_due = false;
    for (const int client : clients)
      ::send(client, end.data(), end.size(), MSG_NOSIGNAL);
  }
}

class WatchCrowdTest : public test::PoolTest {
 protected:
  WatchCrowdTest() {
    make_task(1, status_document(1));
    const Result<TaskDirectory> first = open_task(pool(), 1);
    const Result<io::UniqueFd> listener = io::listen_at(first->fd.get(), "socket", 4096);
    for (pid_t id = 2; id <= files.tasks(); ++id) {
      fs::create_directory(task_path(id));
      fs::permissions(task_path(id), fs::perms::owner_all);
      for (const char* name : {"lock", "status", "socket"})
        fs::create_hard_link(task_path(1) / name, task_path(id) / name);
    }
    sigset_t orders;
    ::sigemptyset(&orders);
    ::sigaddset(&orders, SIGUSR1);
    ::sigaddset(&orders, SIGUSR2);
    ::sigprocmask(SIG_BLOCK, &orders, nullptr);
    io::UniqueFd lock = hold_lock(1);
    supervisor = ::fork();
    if (supervisor == 0) {
      // The kernel notes who called listen last.
      ::listen(listener->get(), 4096);
      supervise(listener->get(), static_cast<std::size_t>(files.tasks()));
    }
  }
  ~WatchCrowdTest() override {
    ::kill(supervisor, SIGKILL);
    ::waitpid(supervisor, nullptr, 0);
  }
  static std::int64_t voluntary_switches() {
    std::ifstream status("/proc/thread-self/status");
    for (std::string word; status >> word;) {
      if (word == "voluntary_ctxt_switches:") {
        std::int64_t value = 0;
        status >> value;
        return value;
      }
    }
    return -1;
  }

  MoreFiles files;
  pid_t supervisor = -1;
};

TEST_F(WatchCrowdTest, TenThousandTasksFitIntoOneWatch) {
  const auto tasks = static_cast<std::size_t>(files.tasks());
  ASSERT_GE(tasks, 1'000u) << "the hard limit of files does not allow for a crowd";
  Watch watch;
  std::vector<int> ends(tasks + 1), losses(tasks + 1);
  std::size_t ended = 0, lost = 0, others = 0;
  const std::size_t memory = ::mallinfo2().uordblks;
  for (pid_t id = 1; id <= files.tasks(); ++id) {
    const auto number = static_cast<std::size_t>(id);
    watch.add(Task(id, path()), [&, number](Task&, const WatchEvent& event) {
      if (event.kind == Kind::kExit) {
        ended += ++ends[number] == 1 ? 1 : 0;
      } else if (event.kind == Kind::kLost) {
        lost += ++losses[number] == 1 ? 1 : 0;
      } else {
        ++others;
      }
    });
    if (id % 100 == 0) watch.dispatch();
  }
  ::kill(supervisor, SIGUSR1);
  const auto start = std::chrono::steady_clock::now();
  while (ended < tasks && test::seconds_since(start) < 50)
    watch.wait(Seconds(1));
  EXPECT_EQ(ended, tasks);
  EXPECT_LE((::mallinfo2().uordblks - memory) / tasks, 4096u) << "bytes for a task";

  while (watch.wait(Seconds(0.1)) > 0) {
  }
  const std::int64_t switches = voluntary_switches();
  EXPECT_EQ(watch.wait(Seconds(0.5)), 0u);
  EXPECT_LE(voluntary_switches() - switches, 2) << "one is the end of this wait";

  ::kill(supervisor, SIGUSR2);
  watch.run();
  EXPECT_EQ(lost, tasks);
  EXPECT_EQ(others, 0u);
}

TEST_F(WatchCrowdTest, AllTasksDeletedAtOnceAreRemoved) {
  const auto tasks = static_cast<std::size_t>(files.tasks());
  Watch watch;
  std::size_t removed = 0, others = 0;
  for (pid_t id = 1; id <= files.tasks(); ++id) {
    watch.add(Task(id, path()),
              [&](Task&, const WatchEvent& event) { ++(event.kind == Kind::kRemoved ? removed : others); });
  }
  const auto start = std::chrono::steady_clock::now();
  while (watch.wait(Seconds(0.2)) > 0 || test::seconds_since(start) < 1) {
  }
  for (pid_t id = 1; id <= files.tasks(); ++id)
    fs::remove_all(task_path(id));
  ::kill(supervisor, SIGUSR2);
  watch.run();
  EXPECT_EQ(removed, tasks);
  EXPECT_EQ(others, 0u);
}

}  // namespace
}  // namespace bgtask
