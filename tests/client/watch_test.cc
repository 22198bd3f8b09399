#include <bgtask/watch.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include <algorithm>
#include <atomic>
#include <deque>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "protocol/io/unix_socket.h"
#include "tests/client/support.h"

namespace bgtask {
namespace {

namespace fs = std::filesystem;
using test::answering;
using test::FakeServer;
using test::kNobody;
using test::Peer;
using test::status_document;
using Kind = WatchEvent::Kind;
using Strings = std::vector<std::string>;

constexpr pid_t kId = 10;
constexpr Seconds kLong{30};

std::string described(const WatchEvent& event) {
  switch (event.kind) {
    case Kind::kExit:
      return "exit " + event.status.dump();
    case Kind::kOutput: {
      std::string text = "output";
      for (const OutputChunk& chunk : event.output.chunks)
        text += " " + chunk.stream + ":" + chunk.data;
      if (event.output.lost.any()) text += " lost " + std::to_string(event.output.lost.out);
      return text;
    }
    case Kind::kMeta:
      return "meta " + event.meta.dump();
    case Kind::kStream:
      return "stream " + event.stream + event.stream_error;
    case Kind::kUnresponsive:
      return "unresponsive";
    case Kind::kRemoved:
      return "removed " + event.error.code();
    case Kind::kLost:
      return "lost " + event.status.value("state", "") +
             (event.adopted_by ? " by " + std::to_string(*event.adopted_by) : "");
    case Kind::kFailed:
      return "failed " + event.error.code();
  }
  return "?";
}

bool readable(const Watch& watch) {
  pollfd entry{watch.descriptor(), POLLIN, 0};
  return ::poll(&entry, 1, 0) == 1;
}

Json output_event(std::uint64_t next, const std::vector<std::pair<std::uint64_t, std::string>>& chunks,
                  std::uint64_t lost = 0) {
  Json list = Json::array();
  for (const auto& [offset, data] : chunks) {
    list.push_back(
        {{"seq", next - 1}, {"time", 1.5}, {"stream", "stdout"}, {"offset", offset}, {"data", data}});
  }
  return {{"event", "output"},
          {"chunks", list},
          {"next", next},
          {"lost", {{"stdout", lost}, {"stderr", 0}, {"data", 0}}}};
}

Json exit_event(int code, std::uint64_t runs = 0) {
  Json event{{"event", "exit"}, {"status", {{"exit_code", code}}}};
  if (runs != 0) event["runs"] = runs;
  return event;
}

class WatchTest : public test::PoolTest {
 protected:
  void make_living(pid_t id) {
    make_task(id, status_document(id));
    locks[id] = hold_lock(id);
  }
  Task task(pid_t id = kId, Seconds timeout = kLong) const {
    Task made(id, path());
    made.set_timeout(timeout);
    return made;
  }
  Watch::Callback keep() {
    return [this](Task&, const WatchEvent& event) { events.push_back(described(event)); };
  }
  WatchId add(const Task& added, const WatchOptions& options = {}) {
    return watch.add(added, options, keep());
  }
  /// Waits until so many events have come.
  const Strings& await(std::size_t count) {
    const auto start = std::chrono::steady_clock::now();
    while (events.size() < count && !watch.empty() && test::seconds_since(start) < kLong.count())
      watch.wait(Seconds(1));
    return events;
  }

  std::map<pid_t, io::UniqueFd> locks;
  Watch watch;
  Strings events;
};

/// A supervisor of one task that the test gives orders to.
class Subscribed {
 public:
  explicit Subscribed(const fs::path& task_path) : server_(task_path, [this](Peer& peer) { serve(peer); }) {}
  ~Subscribed() {
    const std::lock_guard lock(mutex_);
    done_ = true;
  }
  /// Runs in the server once a client has subscribed, and after those given before.
  void then(std::function<void(Peer&)> order) {
    const std::lock_guard lock(mutex_);
    orders_.push_back(std::move(order));
  }
  void send(const Json& event) {
    then([event](Peer& peer) { peer.event(event); });
  }
  std::vector<Json> requests() {
    const std::lock_guard lock(mutex_);
    return requests_;
  }

 private:
  void serve(Peer& peer) {
    const Json request = peer.request();
    if (request.is_null()) return;
    {
      const std::lock_guard lock(mutex_);
      requests_.push_back(request["params"]);
    }
    peer.reply(request, {{"next", 7}});
    for (bool close = false; !close && !peer.closed_by_client();) {
      std::function<void(Peer&)> order;
      {
        const std::lock_guard lock(mutex_);
        if (done_) return;
        if (!orders_.empty()) {
          order = std::move(orders_.front());
          orders_.pop_front();
        }
      }
      if (order) {
        order(peer);
        close = !peer.open();
      } else {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
    }
  }
  std::mutex mutex_;
  std::deque<std::function<void(Peer&)>> orders_;
  std::vector<Json> requests_;
  bool done_ = false;
  FakeServer server_;
};

const WatchOptions kOutputOnly{.exit = false, .output = OutputOptions{.cursor = 3, .streams = {"stdout"}}};

TEST_F(WatchTest, AMissingTaskIsRemovedAtOnce) {
  add(task(99));
  EXPECT_TRUE(readable(watch));
  EXPECT_TRUE(events.empty()) << "nothing comes before dispatch()";
  EXPECT_EQ(watch.dispatch(), 1u);
  EXPECT_EQ(events, Strings{"removed not_found"});
  EXPECT_TRUE(watch.empty());
  EXPECT_FALSE(readable(watch));
  EXPECT_EQ(watch.wait(), 0u) << "without entries there is nothing to wait for";
  watch.run();
}

TEST_F(WatchTest, ATaskOfAMissingPoolIsRemovedToo) {
  add(Task(5, path() / "nowhere"));
  EXPECT_EQ(await(1), Strings{"removed not_found"});
}

TEST_F(WatchTest, ALostTaskIsToldAtOnceAfterWhatItsRingsHold) {
  make_task(kId, status_document(kId));
  make_rings(kId, std::string(100'000, 'x') + "end", "error");
  std::string bytes;
  watch.add(task(), {.output = OutputOptions{.streams = {"stdout"}, .max_bytes = 1}},
            [&](Task&, const WatchEvent& event) {
              for (const OutputChunk& chunk : event.output.chunks)
                bytes += chunk.data;
              events.push_back(event.kind == Kind::kOutput ? "output" : described(event));
            });
  EXPECT_TRUE(readable(watch));
  EXPECT_EQ(await(9), (Strings{"output", "output", "lost lost"})) << "max_bytes bounds an event, softly";
  EXPECT_EQ(bytes, std::string(100'000, 'x') + "end");
}

TEST_F(WatchTest, OutputOfALostTaskIsGivenFromTheCursorOn) {
  make_task(kId, status_document(kId));
  make_rings(kId, "one", "two");
  add(task(), {.output = OutputOptions{.cursor = 2}});
  EXPECT_EQ(await(9), (Strings{"output stderr:two data:one data: data:three", "lost lost"}));
  events.clear();
  add(task(), {.output = OutputOptions{.cursor = kFromNow}});
  EXPECT_EQ(await(9), Strings{"lost lost"});
}

TEST_F(WatchTest, SubscribesToWhatIsAskedFor) {
  make_living(kId);
  Subscribed supervisor(task_path(kId));
  const auto requested = [&](const WatchOptions& options) {
    const std::size_t before = supervisor.requests().size();
    const WatchId id = add(task(), options);
    while (supervisor.requests().size() == before)
      watch.wait(Seconds(0.01));
    watch.remove(id);
    return supervisor.requests().back();
  };
  EXPECT_EQ(requested({}), (Json{{"events", {"exit"}}}));
  EXPECT_EQ(requested(kOutputOnly), (Json{{"events", {"output"}}, {"cursor", 3}, {"streams", {"stdout"}}}));
  EXPECT_EQ(requested({.meta = true, .streams = true, .output = OutputOptions{.cursor = kFromNow}}),
            (Json{{"events", {"output", "exit", "meta", "stream"}}}));
}

TEST_F(WatchTest, EventsComeInTheirOrder) {
  make_living(kId);
  Subscribed supervisor(task_path(kId));
  supervisor.send(output_event(8, {{0, "a"}, {1, "b"}}, 5));
  supervisor.send({{"event", "meta"}, {"meta", {{"name", "x"}}}});
  supervisor.send({{"event", "stream"}, {"stream", "stdout"}, {"eof", true}, {"error", nullptr}});
  supervisor.send({{"event", "stream"}, {"stream", "stderr"}, {"eof", false}, {"error", "EIO"}});
  supervisor.send({{"event", "news"}});
  supervisor.send(exit_event(3));
  add(task(), {.meta = true, .streams = true, .output = OutputOptions()});
  EXPECT_EQ(await(5), (Strings{"output stdout:a stdout:b lost 5", "meta {\"name\":\"x\"}", "stream stdout",
                               "stream stderrEIO", "exit {\"exit_code\":3}"}));
  EXPECT_EQ(watch.size(), 1u) << "an ended task may be restarted, and is deleted some day";
}

TEST_F(WatchTest, PiecesThatFollowEachOtherAreJoinedOnRequest) {
  make_living(kId);
  Subscribed supervisor(task_path(kId));
  supervisor.send(output_event(8, {{0, "a"}, {1, "b"}, {5, "c"}}));
  add(task(), {.output = OutputOptions{.joined = true}});
  EXPECT_EQ(await(1), Strings{"output stdout:ab stdout:c"});
}

TEST_F(WatchTest, ADeadSupervisorIsLost) {
  make_living(kId);
  Subscribed supervisor(task_path(kId));
  supervisor.then([this](Peer& peer) {
    locks.clear();
    peer.close();
  });
  add(task());
  EXPECT_EQ(await(1), Strings{"lost lost"});
  EXPECT_TRUE(watch.empty());
}

TEST_F(WatchTest, WhatASupervisorTookInBeforeItsDeathIsGiven) {
  make_living(kId);
  make_rings(kId, "taken in", "");
  Subscribed supervisor(task_path(kId));
  supervisor.then([this](Peer& peer) {
    locks.clear();
    peer.close();
  });
  add(task(), {.output = OutputOptions{.streams = {"stdout"}}});
  EXPECT_EQ(await(2), (Strings{"output stdout:taken in", "lost lost"}));
}

TEST_F(WatchTest, ADeletedTaskIsRemoved) {
  make_living(kId);
  Subscribed supervisor(task_path(kId));
  supervisor.then([this](Peer& peer) {
    fs::remove_all(task_path(kId));
    peer.close();
  });
  add(task());
  EXPECT_EQ(await(1), Strings{"removed not_found"});
}

TEST_F(WatchTest, AnAdoptedTaskIsLostAndNamesItsNewId) {
  make_living(kId);
  Subscribed supervisor(task_path(kId));
  supervisor.then([this](Peer& peer) {
    Json status = status_document(20);
    status["former_pids"] = {kId};
    write_file(task_path(kId) / "status", status.dump());
    fs::remove(task_path(kId) / "socket");
    fs::rename(task_path(kId), task_path(20));
    peer.close();
  });
  Task watched = task();
  add(watched);
  EXPECT_EQ(await(1), Strings{"lost running by 20"});
  Subscribed adopter(task_path(20));
  adopter.send(exit_event(0));
  add(watched);
  EXPECT_EQ(await(2).back(), "exit {\"exit_code\":0}") << "the same Task is found under its new id";
}

TEST_F(WatchTest, AClosedConnectionIsMadeAgainAndGoesOnFromTheCursor) {
  make_living(kId);
  Subscribed supervisor(task_path(kId));
  supervisor.send(output_event(12, {{0, "a"}}));
  supervisor.send(exit_event(0, 1));
  supervisor.then([](Peer& peer) { peer.close(); });
  supervisor.send(exit_event(0, 1));  // told again to a new subscriber
  supervisor.send(output_event(13, {{1, "b"}}));
  supervisor.send(exit_event(1, 2));
  add(task(), {.meta = true, .output = OutputOptions()});
  EXPECT_EQ(await(5), (Strings{"output stdout:a", "exit {\"exit_code\":0}", "meta {}", "output stdout:b",
                               "exit {\"exit_code\":1}"}))
      << "an end is told once; metadata may have changed meanwhile";
  EXPECT_EQ(supervisor.requests().back()["cursor"], 12);
}

TEST_F(WatchTest, OutputFromNowGoesOnFromTheRepliesCursorAfterAClosedConnection) {
  make_living(kId);
  Subscribed supervisor(task_path(kId));
  supervisor.then([](Peer& peer) { peer.close(); });
  supervisor.send(exit_event(0));
  add(task(), {.output = OutputOptions{.cursor = kFromNow}});
  await(1);
  EXPECT_FALSE(supervisor.requests().front().contains("cursor"));
  EXPECT_EQ(supervisor.requests().back()["cursor"], 7);
}

TEST_F(WatchTest, ASilentSupervisorIsUnresponsiveOnceAndHoldsUpNobody) {
  make_living(kId);
  make_living(11);
  std::atomic<bool> answer = false;
  FakeServer silent(task_path(kId), [&](Peer& peer) {
    const Json request = peer.request();
    while (!answer)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    peer.reply(request, {{"next", 1}});
    peer.event(exit_event(4));
    peer.wait_for_close();
  });
  Subscribed other(task_path(11));
  other.send(exit_event(5));
  add(task(kId, Seconds(0.1)));
  add(task(11));
  await(2);
  std::sort(events.begin(), events.end());  // between tasks there is no order
  EXPECT_EQ(events, (Strings{"exit {\"exit_code\":5}", "unresponsive"}));
  EXPECT_EQ(watch.wait(Seconds(0.3)), 0u) << "it is told once";
  answer = true;
  EXPECT_EQ(await(3).back(), "exit {\"exit_code\":4}");
  watch = Watch();
}

TEST_F(WatchTest, AFullBacklogIsTriedAgainUntilThereIsRoom) {
  make_living(kId);
  const Result<TaskDirectory> directory = open_task(pool(), kId);
  const Result<io::UniqueFd> listener = io::listen_at(directory->fd.get(), "socket", 0);
  ASSERT_TRUE(listener);
  std::vector<io::UniqueFd> waiting;
  while (Result<io::UniqueFd> socket = io::connect_at(directory->fd.get(), "socket"))
    waiting.push_back(std::move(*socket));
  add(task(kId, Seconds(0.1)));
  EXPECT_EQ(await(1), Strings{"unresponsive"});
  while (::accept4(listener->get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK) >= 0) {
    if (waiting.empty()) break;
    waiting.pop_back();
  }
  std::thread supervisor([&] {
    for (;;) {
      io::UniqueFd fd(::accept4(listener->get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!fd) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        continue;
      }
      Peer peer(std::move(fd));
      const Json request = peer.request();
      if (request.is_null()) continue;
      peer.reply(request, {{"next", 1}});
      peer.event(exit_event(0));
      return;
    }
  });
  EXPECT_EQ(await(2).back(), "exit {\"exit_code\":0}");
  supervisor.join();
}

TEST_F(WatchTest, ABusySupervisorIsTriedAgain) {
  make_living(kId);
  std::atomic<int> refusals = 0;
  FakeServer server(task_path(kId), [&](Peer& peer) {
    if (++refusals <= 3) return peer.fail(nullptr, {{"error", "busy"}});
    peer.reply(peer.request(), {{"next", 1}});
    peer.event(exit_event(0));
    peer.wait_for_close();
  });
  add(task());
  EXPECT_EQ(await(1), Strings{"exit {\"exit_code\":0}"});
  EXPECT_EQ(refusals, 4);
  watch = Watch();
}

TEST_F(WatchTest, ARefusalIsAFailure) {
  make_living(kId);
  FakeServer server(task_path(kId), [](Peer& peer) { peer.fail(nullptr, {{"error", "denied"}}); });
  add(task());
  EXPECT_EQ(await(1), Strings{"failed denied"});
}

TEST_F(WatchTest, ARefusedSubscriptionIsAFailure) {
  make_living(kId);
  FakeServer server(task_path(kId), [](Peer& peer) {
    peer.fail(peer.request(), {{"error", "bad_argument"}});
  });
  add(task());
  EXPECT_EQ(await(1), Strings{"failed bad_argument"});
}

TEST_F(WatchTest, ArbitraryBytesAreAFailure) {
  make_living(kId);
  FakeServer server(task_path(kId), [](Peer& peer) {
    peer.send("HTTP/1.1 400 Bad Request\r\n\r\n");
    peer.wait_for_close();
  });
  add(task());
  EXPECT_EQ(await(1), Strings{"failed parse_error"});
}

TEST_F(WatchTest, AnImpostorIsNotTalkedTo) {
  make_living(kId);
  const Result<TaskDirectory> directory = open_task(pool(), kId);
  Result<io::UniqueFd> listener = io::listen_at(directory->fd.get(), "socket", 8);
  // The kernel notes who called listen last.
  ASSERT_EQ(test::in_child([&] { return ::listen(listener->get(), 8); }, kNobody), 0);
  add(task());
  EXPECT_EQ(await(1), Strings{"failed impostor"});
}

TEST_F(WatchTest, UnknownStreamsAreRefusedByAdd) {
  make_living(kId);
  EXPECT_EQ(test::error_of([&] { add(task(), {.output = OutputOptions{.streams = {"stdin"}}}); }),
            "bad_argument");
  EXPECT_TRUE(watch.empty());
}

TEST_F(WatchTest, ACallbackMayAddAndRemoveEntries) {
  for (const pid_t id : {1, 2, 3, 4})
    make_task(id, status_document(id));
  WatchId second{};
  watch.add(task(1), [&](Task& first, const WatchEvent& event) {
    events.push_back("1 " + described(event));
    EXPECT_EQ(first.pid(), 1);
    EXPECT_FALSE(watch.remove(event.id)) << "after its last event it is gone already";
    EXPECT_TRUE(watch.remove(second));
    EXPECT_FALSE(watch.remove(second));
    watch.add(task(4), [&](Task&, const WatchEvent& later) { events.push_back("4 " + described(later)); });
  });
  second = add(task(2));
  watch.add(task(3), [&](Task&, const WatchEvent& event) { events.push_back("3 " + described(event)); });
  watch.run();
  EXPECT_EQ(events, (Strings{"1 lost lost", "3 lost lost", "4 lost lost"}));
}

TEST_F(WatchTest, AnEntryRemovedByItsOwnCallbackGetsNoMoreEvents) {
  make_living(kId);
  Subscribed supervisor(task_path(kId));
  for (int i = 0; i < 10; ++i)
    supervisor.send(exit_event(i));
  watch.add(task(), [&](Task&, const WatchEvent& event) {
    events.push_back(described(event));
    if (events.size() == 3) watch.remove(event.id);
  });
  watch.run();
  EXPECT_EQ(events.size(), 3u);
}

TEST_F(WatchTest, AnExceptionLeavesDispatchAndLosesNoOtherEvent) {
  make_living(kId);
  Subscribed supervisor(task_path(kId));
  for (int i = 0; i < 5; ++i)
    supervisor.send(exit_event(i));
  watch.add(task(), [&](Task&, const WatchEvent& event) {
    events.push_back(described(event));
    throw std::runtime_error("no");
  });
  for (std::size_t i = 1; i <= 5; ++i) {
    EXPECT_THROW(watch.wait(kLong), std::runtime_error);
    EXPECT_EQ(events.size(), i);
  }
  EXPECT_EQ(events.back(), "exit {\"exit_code\":4}");
}

TEST_F(WatchTest, ACallbackMayDestroyTheWatch) {
  make_task(1, status_document(1));
  make_task(2, status_document(2));
  auto other = std::make_unique<Watch>();
  for (const pid_t id : {1, 2}) {
    other->add(task(id), [&](Task&, const WatchEvent& event) {
      events.push_back(described(event));
      other.reset();
    });
  }
  other->run();
  EXPECT_EQ(events, Strings{"lost lost"});
  EXPECT_EQ(other, nullptr);
}

TEST_F(WatchTest, ACallbackMustNotDispatch) {
  std::string word;
  watch.add(task(99), [&](Task&, const WatchEvent&) { word = test::error_of([&] { watch.dispatch(); }); });
  watch.run();
  EXPECT_EQ(word, "bad_argument");
}

TEST_F(WatchTest, AWatchIsMovedWithItsEntries) {
  add(task(99));
  Watch moved = std::move(watch);
  EXPECT_EQ(moved.size(), 1u);
  moved.run();
  EXPECT_EQ(events, Strings{"removed not_found"});
  watch = std::move(moved);
  add(task(98));
  watch.run();
  EXPECT_EQ(events.size(), 2u);
}

TEST_F(WatchTest, StopEndsRunFromAnotherThread) {
  make_living(kId);
  Subscribed supervisor(task_path(kId));
  add(task());
  std::thread stopper([this] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    watch.stop();
  });
  watch.run();
  stopper.join();
  watch.stop();
  EXPECT_EQ(watch.wait(), 0u) << "a stop before the wait ends it too";
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(watch.wait(Seconds(0.05)), 0u);
  EXPECT_GE(test::seconds_since(start), 0.049) << "one stop ends one wait";
}

TEST_F(WatchTest, WorksInAPollLoop) {
  make_living(kId);
  Subscribed supervisor(task_path(kId));
  supervisor.send(exit_event(1));
  supervisor.then([this](Peer& peer) {
    locks.clear();
    peer.close();
  });
  add(task());
  while (!watch.empty()) {
    pollfd entry{watch.descriptor(), POLLIN, 0};
    ASSERT_EQ(::poll(&entry, 1, 20'000), 1);
    watch.dispatch();
  }
  EXPECT_EQ(events, (Strings{"exit {\"exit_code\":1}", "lost lost"}));
}

TEST_F(WatchTest, WorksInALibuvLoop) {
  make_living(kId);
  Subscribed supervisor(task_path(kId));
  supervisor.send(exit_event(1));
  supervisor.then([this](Peer& peer) {
    locks.clear();
    peer.close();
  });
  add(task());
  add(task(99));
  uv_loop_t loop;
  uv_poll_t poll;
  ASSERT_EQ(uv_loop_init(&loop), 0);
  ASSERT_EQ(uv_poll_init(&loop, &poll, watch.descriptor()), 0);
  poll.data = &watch;
  uv_poll_start(&poll, UV_READABLE, [](uv_poll_t* handle, int, int) {
    auto* watched = static_cast<Watch*>(handle->data);
    watched->dispatch();
    if (watched->empty()) uv_close(reinterpret_cast<uv_handle_t*>(handle), nullptr);
  });
  uv_run(&loop, UV_RUN_DEFAULT);
  EXPECT_EQ(uv_loop_close(&loop), 0);
  // Between tasks there is no order.
  std::sort(events.begin(), events.end());
  EXPECT_EQ(events, (Strings{"exit {\"exit_code\":1}", "lost lost", "removed not_found"}));
}

TEST_F(WatchTest, WithoutADescriptorLeftAddSaysWhatToRaise) {
  make_living(kId);
  Subscribed supervisor(task_path(kId));
  const int status = test::in_child([&] {
    Watch limited;
    const rlimit before = [] {
      rlimit limit{};
      ::getrlimit(RLIMIT_NOFILE, &limit);
      return limit;
    }();
    const rlim_t used = static_cast<rlim_t>(::dup(0)) + 1;
    rlimit few = before;
    few.rlim_cur = used + 8;
    ::setrlimit(RLIMIT_NOFILE, &few);
    std::string message;
    int added = 0;
    try {
      for (; added < 20; ++added)
        limited.add(task(), [](Task&, const WatchEvent&) {});
    } catch (const Error& error) {
      message = error.code() + " " + error.what();
    }
    const bool said =
        message.starts_with("too_many_files") && message.find("RLIMIT_NOFILE") != std::string::npos;
    if (!said || added < 4 || limited.size() != static_cast<std::size_t>(added)) return 1;
    ::setrlimit(RLIMIT_NOFILE, &before);
    limited.add(task(), [](Task&, const WatchEvent&) {});
    return limited.size() == static_cast<std::size_t>(added) + 1 ? 0 : 2;
  });
  EXPECT_EQ(status, 0);
}

TEST_F(WatchTest, NeedsOneDescriptorForATaskAndLeavesNone) {
  const auto open_files = [] {
    return std::distance(fs::directory_iterator("/proc/self/fd"), fs::directory_iterator());
  };
  for (pid_t id = 1; id <= 20; ++id)
    make_living(id);
  std::deque<Subscribed> supervisors;
  for (pid_t id = 1; id <= 20; ++id)
    supervisors.emplace_back(task_path(id));
  const auto before = open_files();
  {
    Watch many;
    std::vector<Task> tasks;  // which have opened the pool each for itself
    for (pid_t id = 1; id <= 20; ++id)
      many.add(tasks.emplace_back(id, path()), [](Task&, const WatchEvent&) {});
    for (const Subscribed& unused : supervisors)
      static_cast<void>(unused);
    EXPECT_LE(open_files(), before + 3 + 1 + 20 + 20)
        << "three, the pool, and one each; as many at the other end";
  }
  watch = Watch();
  bool closed = false;  // the made-up supervisors notice one after the other
  for (int i = 0; i < 2'000 && !closed; ++i) {
    closed = open_files() <= before;
    if (!closed) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_TRUE(closed) << open_files() << " files, before " << before;
}

}  // namespace
}  // namespace bgtask
