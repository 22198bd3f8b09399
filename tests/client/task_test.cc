#include <bgtask/task.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <string>

#include "client/src/task_access.h"
#include "protocol/io/unix_socket.h"
#include "tests/client/support.h"

namespace bgtask {
namespace {

namespace fs = std::filesystem;
using test::answering;
using test::error_of;
using test::FakeServer;
using test::in_child;
using test::name_child;
using test::Peer;
using test::Sleeper;
using test::status_document;

constexpr pid_t kId = 10;

class TaskTest : public test::PoolTest {
 protected:
  TaskTest() : task(kId, path()) {}
  ~TaskTest() override { task.disconnect(); }
  Task task;
};

TEST_F(TaskTest, MakingOneLooksNowhere) {
  Task nowhere(1, "/no/such/pool");
  EXPECT_EQ(nowhere.pid(), 1);
  EXPECT_EQ(nowhere.pool_path(), "/no/such/pool");
  EXPECT_EQ(error_of([&] { nowhere.info(); }), "not_found");
  EXPECT_EQ(error_of([&] { task.connect(); }), "not_found");
}

TEST_F(TaskTest, SelfIsTheTaskOfTheEnvironment) {
  EXPECT_EQ(in_child([] {
              ::unsetenv("BGTASK_PID");
              return error_of([] { Task::self(); }) == "not_found" ? 0 : 1;
            }),
            0);
  EXPECT_EQ(in_child([this] {
              ::setenv("BGTASK_PID", "10", 1);
              ::setenv("BGTASK_POOL", path().c_str(), 1);
              return Task::self().pid() == 10 && Task::self().pool_path() == path() ? 0 : 1;
            }),
            0);
  EXPECT_EQ(in_child([] {
              ::setenv("BGTASK_PID", "ten", 1);
              return error_of([] { Task::self(); }) == "not_found" ? 0 : 1;
            }),
            0);
}

TEST_F(TaskTest, AChildFindsItsTaskBeforeItIsPublished) {
  make_task(kId);
  const io::UniqueFd alive = hold_lock(kId);
  std::atomic<pid_t> child = 0;
  FakeServer server(task_path(kId), [&](Peer& peer) {
    for (Json request = peer.request(); !request.is_null(); request = peer.request()) {
      peer.reply(request, {{"pid", kId}, {"child_pid", child.load()}});
    }
  });
  // This process plays the child.
  ::setenv("BGTASK_PID", "10", 1);
  Task by_own_pid(::getpid(), path());
  EXPECT_EQ(error_of([&] { by_own_pid.info(); }), "not_found");
  child = ::getpid();
  EXPECT_EQ(by_own_pid.info().at("pid"), kId);
  EXPECT_EQ(by_own_pid.pid(), kId);
  ::unsetenv("BGTASK_PID");
  EXPECT_EQ(error_of([&] { Task(::getpid(), path()).info(); }), "not_found");
}

TEST_F(TaskTest, InfoOfALostTaskIsWhatWasPublished) {
  Sleeper child;
  Json status = status_document(kId);
  name_child(status, child.pid());
  make_task(kId, status);
  make_rings(kId, "hello");
  Task by_child(child.pid(), path());
  EXPECT_EQ(by_child.info().at("status").at("state"), "lost");
  EXPECT_EQ(by_child.info().at("status").at("running"), true);
  EXPECT_EQ(by_child.pid(), kId);
  EXPECT_FALSE(by_child.info().contains("supervision"));
  EXPECT_EQ(by_child.snapshot().at("streams").at("stdout").at("limit"), 5);
  EXPECT_EQ(error_of([&] { by_child.connect(); }), "lost");
  Error reason;
  EXPECT_FALSE(by_child.connect(reason));
  EXPECT_EQ(reason.code(), "lost");
}

TEST_F(TaskTest, InfoIsKeptUnlessFreshIsAskedFor) {
  make_task(kId);
  const io::UniqueFd alive = hold_lock(kId);
  std::atomic<int> asked = 0;
  FakeServer server(task_path(kId), [&](Peer& peer) {
    for (Json request = peer.request(); !request.is_null(); request = peer.request()) {
      peer.reply(request, {{"asked", ++asked}});
    }
  });
  EXPECT_EQ(task.info().at("asked"), 1);
  EXPECT_EQ(task.info().at("asked"), 1);
  EXPECT_EQ(task.info(true).at("asked"), 2);
  task.disconnect();
}

TEST_F(TaskTest, AnUnreachableButLivingSupervisorIsNotLost) {
  make_task(kId, status_document(kId));
  const io::UniqueFd alive = hold_lock(kId);
  task.set_timeout(Seconds(0.1));
  EXPECT_EQ(error_of([&] { task.info(); }), "unresponsive");
  Error reason;
  EXPECT_FALSE(task.connect(reason));
  EXPECT_EQ(reason.code(), "unresponsive");
  EXPECT_TRUE(reason.retryable());
}

TEST_F(TaskTest, CallsCarryTheirParameters) {
  make_task(kId);
  const io::UniqueFd alive = hold_lock(kId);
  Json last;
  FakeServer server(task_path(kId), [&](Peer& peer) {
    for (Json request = peer.request(); !request.is_null(); request = peer.request()) {
      last = Json::object();
      last[request.at("method").get<std::string>()] = request.at("params");
      peer.reply(request,
                 {{"signalled", 2}, {"restarted", true}, {"fired", "exit"}, {"status", {{"exit_code", 3}}}});
    }
  });
  EXPECT_EQ(task.kill("TERM"), 2u);
  EXPECT_EQ(last, (Json{{"kill", {{"signal", SIGTERM}}}}));
  task.kill(9, Scope::kTree);
  EXPECT_EQ(last, (Json{{"kill", {{"scope", "tree"}}}}));
  task.kill();
  EXPECT_EQ(last, (Json{{"kill", Json::object()}}));
  EXPECT_EQ(error_of([&] { task.kill("NONSENSE"); }), "bad_argument");
  EXPECT_EQ(error_of([&] { task.wait({.for_events = {"output", "end"}}); }), "bad_argument");
  EXPECT_EQ(task.pause(), 2u);
  EXPECT_EQ(last, (Json{{"pause", Json::object()}}));
  task.resume();
  EXPECT_EQ(last, (Json{{"pause", {{"pause", false}}}}));
  EXPECT_TRUE(task.restart());
  task.apply_meta({{"note", "x"}});
  EXPECT_EQ(last, (Json{{"apply_meta", {{"meta", {{"note", "x"}}}}}}));
  task.apply_meta({{"a", 1}, {"b", nullptr}});
  EXPECT_EQ(last, (Json{{"apply_meta", {{"meta", {{"a", 1}, {"b", nullptr}}}}}}));
  task.apply_meta("paused");
  EXPECT_EQ(last, (Json{{"apply_meta", {{"meta", {{"note", "paused"}}}}}}));
  const WaitResult waited = task.wait({.timeout = Seconds(1.5)});
  EXPECT_EQ(last, (Json{{"wait", {{"timeout", 1.5}}}}));
  EXPECT_EQ(waited.fired, "exit");
  EXPECT_EQ(waited.status.at("exit_code"), 3);
  task.disconnect();
}

TEST_F(TaskTest, ErrorsKeepTheirWordErrnoAndDetails) {
  make_task(kId);
  const io::UniqueFd alive = hold_lock(kId);
  FakeServer server(task_path(kId), [](Peer& peer) {
    peer.fail(peer.request(), {{"error", "a_word_of_tomorrow"}, {"os_error", 13}, {"survivors", {4, 5}}});
    peer.wait_for_close();
  });
  try {
    task.kill();
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), "a_word_of_tomorrow");
    EXPECT_EQ(error.os_error(), 13);
    EXPECT_EQ(error.data().at("survivors"), (Json{4, 5}));
    EXPECT_FALSE(error.retryable());
  }
  task.disconnect();
}

TEST_F(TaskTest, WaitTakesItsOwnTimeBesidesTheTimeout) {
  make_task(kId);
  const io::UniqueFd alive = hold_lock(kId);
  FakeServer server(task_path(kId), [](Peer& peer) {
    for (Json request = peer.request(); !request.is_null(); request = peer.request()) {
      ::poll(nullptr, 0, 400);
      peer.reply(request, {{"fired", "timeout"}});
    }
  });
  // Later than the shorter of the two times, whichever it is.
  task.set_timeout(Seconds(0.2));
  EXPECT_EQ(task.wait({.timeout = Seconds(20)}).fired, "timeout");
  task.set_timeout(Seconds(20));
  EXPECT_EQ(task.wait({.timeout = Seconds(0.2)}).fired, "timeout");
  task.disconnect();
}

/// A supervisor in a process of its own, that answers one delete and ends.
TEST_F(TaskTest, RemoveWaitsForTheEndOfTheSupervisor) {
  make_task(kId);
  const io::UniqueFd alive = hold_lock(kId);
  const Result<TaskDirectory> directory = open_task(pool(), kId);
  int ready[2];
  ASSERT_EQ(::pipe2(ready, O_CLOEXEC), 0);
  const pid_t supervisor = ::fork();
  if (supervisor == 0) {
    const Result<io::UniqueFd> listener = io::listen_at(directory->fd.get(), "socket", 8);
    (void)!::write(ready[1], "x", 1);
    pollfd entry{listener->get(), POLLIN, 0};
    ::poll(&entry, 1, 10'000);
    Peer peer{io::UniqueFd(::accept(listener->get(), nullptr, nullptr))};
    const Json request = peer.request();
    peer.event({{"event", "output"},
                {"chunks", {{{"seq", 1}, {"stream", "stdout"}, {"offset", 0}, {"data", "left over"}}}},
                {"next", 2}});
    peer.event({{"event", "exit"}});
    peer.reply(request, {{"signalled", 3}, {"exited", 2}, {"killed", 1}, {"survivors", Json::array()}});
    ::poll(nullptr, 0, 200);
    ::_exit(request.at("params") == Json{{"grace", 1.0}, {"collect", true}} ? 7 : 8);
  }
  char byte;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  ::close(ready[0]);
  ::close(ready[1]);
  const RemoveReceipt receipt = task.remove({.grace = Seconds(1), .collect = true});
  int status = 0;
  EXPECT_EQ(::waitpid(supervisor, &status, WNOHANG), supervisor) << "it had ended when remove returned";
  EXPECT_EQ(WEXITSTATUS(status), 7);
  EXPECT_EQ(receipt.signalled, 3u);
  EXPECT_EQ(receipt.exited, 2u);
  EXPECT_EQ(receipt.killed, 1u);
  ASSERT_EQ(receipt.output.size(), 1u);
  EXPECT_EQ(receipt.output[0].data, "left over");
}

TEST_F(TaskTest, ATaskFromASearchHasItsInfoAndHoldsNoDescriptor) {
  make_task(kId, status_document(kId));
  make_rings(kId, "hello");
  auto shared = std::make_shared<const PoolDirectory>(pool());
  const auto open_files = [] {
    return std::distance(fs::directory_iterator("/proc/self/fd"), fs::directory_iterator());
  };
  const auto before = open_files();
  Task found = TaskAccess::make(shared, *open_task(*shared, kId), *Snapshot::read(*open_task(*shared, kId)));
  fs::remove(task_path(kId) / "status");
  EXPECT_EQ(open_files(), before);
  EXPECT_EQ(found.published({"meta", "none", "command"}),
            (Json{{"meta", Json::object()}, {"command", {"/bin/sleep", "1"}}}));
  EXPECT_EQ(found.published().at("streams").at("stdout").at("limit"), 5);
  EXPECT_EQ(found.info().at("streams").at("stdout").at("limit"), 5);
  EXPECT_FALSE(found.info().contains("supervision"));
  EXPECT_EQ(open_files(), before);
  EXPECT_EQ(found.pid(), kId);
  EXPECT_EQ(found.pool_path(), path());
  EXPECT_EQ(found.stream("stdout").peek().data, "hello");
}

TEST_F(TaskTest, AnotherTaskUnderTheSamePidIsNotTakenForIt) {
  make_task(kId, status_document(kId));
  auto shared = std::make_shared<const PoolDirectory>(pool());
  Task found = TaskAccess::make(shared, *open_task(*shared, kId));
  fs::rename(task_path(kId), path() / ".aside");  // its inode number stays taken
  make_task(kId, status_document(kId));
  EXPECT_EQ(error_of([&] { found.kill(); }), "not_found");
}

TEST_F(TaskTest, ADeletedTaskStaysDeleted) {
  make_task(kId, status_document(kId));
  make_rings(kId, "");
  EXPECT_EQ(task.info().at("status").at("state"), "lost");
  fs::remove_all(task_path(kId));
  make_task(kId, status_document(kId));
  EXPECT_EQ(error_of([&] { task.info(true); }), "not_found");
  EXPECT_EQ(error_of([&] { task.stream("stdout").peek(); }), "not_found");
}

}  // namespace
}  // namespace bgtask
