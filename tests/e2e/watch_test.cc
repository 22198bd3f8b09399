// Many tasks behind one descriptor.
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <set>

#include "tests/e2e/fixture.h"
#include "tests/e2e/pattern.h"

namespace bgtask::e2e {
namespace {

using Kind = WatchEvent::Kind;

class WatchTest : public E2eTest {
 protected:
  /// Dispatches until the condition holds; false if it never did.
  bool until(const std::function<bool()>& condition) {
    const auto end = std::chrono::steady_clock::now() + kPatience;
    while (!condition() && std::chrono::steady_clock::now() < end)
      watch.wait(Seconds(0.1));
    return condition();
  }
  /// Keeps all events of a task.
  WatchId add(const Task& task, const WatchOptions& options = {}) {
    return watch.add(task, options,
                     [this](Task& of, const WatchEvent& event) { events[of.pid()].push_back(event); });
  }
  /// The latest event of that kind.
  const WatchEvent* last(const Task& task, Kind kind) const {
    const auto found = events.find(task.pid());
    if (found == events.end()) return nullptr;
    const auto event = std::find_if(found->second.rbegin(), found->second.rend(),
                                    [&](const auto& e) { return e.kind == kind; });
    return event == found->second.rend() ? nullptr : &*event;
  }
  const WatchEvent* await(const Task& task, Kind kind) {
    until([&] { return last(task, kind) != nullptr; });
    return last(task, kind);
  }
  size_t count(const Task& task, Kind kind) {
    const auto& all = events[task.pid()];
    return static_cast<size_t>(
        std::count_if(all.begin(), all.end(), [&](const auto& e) { return e.kind == kind; }));
  }
  std::string text(const Task& task, const std::string& stream) {
    std::string bytes;
    for (const WatchEvent& event : events[task.pid()]) {
      for (const OutputChunk& chunk : event.output.chunks) {
        if (chunk.stream == stream) bytes += chunk.data;
      }
    }
    return bytes;
  }
  /// Starts a puppet, which does what is written to its FIFO.
  Task puppet(SpawnOptions options = {}) {
    const std::string name = "commands" + std::to_string(fifos_.size());
    fifos_.push_back(make_fifo(name));
    return awkward({"puppet", fifos_.back().string()}, std::move(options));
  }
  void command(size_t number, const std::string& line) {
    std::ofstream(fifos_.at(number)) << line << "\n" << std::flush;
  }

  Watch watch;
  std::map<pid_t, std::vector<WatchEvent>> events;

 private:
  std::vector<std::filesystem::path> fifos_;
};

TEST_F(WatchTest, EndsComeWithTheirStatus) {
  Task zero = awkward({"exit", "0"});
  Task seven = awkward({"exit", "7"});
  Task killed = shell("kill -TERM $$");
  Task runs = awkward({"sleep"});
  Task ended = awkward({"exit", "3"});
  wait_exit(ended);
  for (const Task& task : {zero, seven, killed, runs, ended})
    add(task);
  EXPECT_EQ(await(zero, Kind::kExit)->status["exit_code"], 0);
  EXPECT_EQ(await(seven, Kind::kExit)->status["exit_code"], 7);
  EXPECT_EQ(await(killed, Kind::kExit)->status["signal"], "TERM");
  EXPECT_EQ(await(ended, Kind::kExit)->status["exit_code"], 3) << "it had ended before it was added";
  EXPECT_EQ(last(runs, Kind::kExit), nullptr);
  EXPECT_EQ(watch.size(), 5u);
}

TEST_F(WatchTest, EachRunsEndIsTold) {
  Task task = awkward({"exit", "4"});
  add(task);
  ASSERT_NE(await(task, Kind::kExit), nullptr);
  EXPECT_TRUE(Task(task.pid(), pool().path()).restart());
  EXPECT_TRUE(until([&] { return count(task, Kind::kExit) == 2; }));
  EXPECT_EQ(events[task.pid()][0].runs, 1u);
  EXPECT_EQ(events[task.pid()][1].runs, 2u);
}

TEST_F(WatchTest, OutputComesWholeInOrderAndBeforeTheEnd) {
  Task task = shell("for i in 1 2 3 4 5; do echo out $i; echo err $i >&2; done; printf end; exit 2");
  Task silent = awkward({"exit", "0"});
  add(task, {.output = OutputOptions()});
  add(silent, {.output = OutputOptions()});
  ASSERT_NE(await(task, Kind::kExit), nullptr);
  ASSERT_NE(await(silent, Kind::kExit), nullptr);
  EXPECT_EQ(text(task, "stdout"), "out 1\nout 2\nout 3\nout 4\nout 5\nend");
  EXPECT_EQ(text(task, "stderr"), "err 1\nerr 2\nerr 3\nerr 4\nerr 5\n");
  EXPECT_EQ(events[task.pid()].back().kind, Kind::kExit);
  EXPECT_EQ(count(silent, Kind::kOutput), 0u);
  uint64_t seq = 0;
  for (const WatchEvent& event : events[task.pid()]) {
    for (const OutputChunk& chunk : event.output.chunks)
      EXPECT_GT(chunk.seq, std::exchange(seq, chunk.seq));
  }
  const uint64_t cursor = last(task, Kind::kOutput)->output.next;
  events.clear();
  add(task, {.output = OutputOptions{.cursor = cursor}});
  ASSERT_NE(await(task, Kind::kExit), nullptr);
  EXPECT_EQ(count(task, Kind::kOutput), 0u) << "from the cursor on there is none";
}

TEST_F(WatchTest, LossIsCountedWhereACallbackIsSlow) {
  constexpr uint64_t kSize = 20'000'000;
  Task task = awkward({"pattern", std::to_string(kSize)}, {.buffer = 64 * 1024});
  uint64_t given = 0, lost = 0, wrong = 0;
  bool ended = false;
  watch.add(task, {.output = OutputOptions{.streams = {"stdout"}, .joined = true}},
            [&](Task&, const WatchEvent& event) {
              ended = ended || event.kind == Kind::kExit;
              lost += event.output.lost.out;
              for (const OutputChunk& chunk : event.output.chunks) {
                given += chunk.data.size();
                wrong += chunk.data == pattern(chunk.offset, chunk.data.size()) ? 0 : 1;
              }
              usleep(2'000);
            });
  EXPECT_TRUE(until([&] { return ended; }));
  EXPECT_EQ(given + lost, kSize);
  EXPECT_GT(lost, 0u) << "or this tests nothing";
  EXPECT_EQ(wrong, 0u);
}

TEST_F(WatchTest, MetadataAndEndsOfStreamsAreTold) {
  Task task = puppet();
  add(task, {.exit = false, .meta = true, .streams = true});
  EXPECT_EQ(watch.wait(Seconds(0.1)), 0u) << "nothing has changed";
  Task(task.pid(), pool().path()).apply_meta({{"name", "changed"}});
  EXPECT_EQ(await(task, Kind::kMeta)->meta["name"], "changed");
  command(0, "exit 0");
  ASSERT_TRUE(until([&] { return count(task, Kind::kStream) == 3; }));
  std::set<std::string> ended;
  for (const WatchEvent& event : events[task.pid()]) {
    if (event.kind == Kind::kStream && event.stream_error.empty()) ended.insert(event.stream);
  }
  EXPECT_EQ(ended, (std::set<std::string>{"stdout", "stderr", "data"}));
  EXPECT_EQ(count(task, Kind::kExit), 0u) << "not asked for";
  add(task, {.streams = true});
  EXPECT_TRUE(until([&] { return count(task, Kind::kStream) == 6 && count(task, Kind::kExit) == 1; }))
      << "what is the case already is told at once";
}

TEST_F(WatchTest, ADeletedTaskIsRemovedAndNotLost) {
  Task task = awkward({"sleep"});
  Task other = awkward({"sleep"});
  add(task);
  add(other);
  ASSERT_EQ(watch.wait(Seconds(0.05)), 0u);
  Task(task.pid(), pool().path()).remove();
  EXPECT_EQ(await(task, Kind::kRemoved)->error.code(), "not_found");
  EXPECT_EQ(last(task, Kind::kExit)->status["signal"], "TERM") << "its end comes first";
  EXPECT_EQ(watch.size(), 1u);
  add(task);
  EXPECT_TRUE(until([&] { return count(task, Kind::kRemoved) == 2; })) << "it is not there any more";
}

TEST_F(WatchTest, AKilledSupervisorIsLost) {
  Task task = puppet();
  Task other = awkward({"sleep"});
  add(task, {.output = OutputOptions()});
  add(other);
  command(0, "out before");
  ASSERT_TRUE(until([&] { return text(task, "stdout") == "before\n"; }));
  kill_supervisor(task);
  const WatchEvent* lost = await(task, Kind::kLost);
  ASSERT_NE(lost, nullptr);
  EXPECT_EQ(lost->error.code(), "lost");
  EXPECT_EQ(lost->status["state"], "lost");
  EXPECT_EQ(lost->status["running"], true);
  EXPECT_FALSE(lost->adopted_by.has_value());
  EXPECT_EQ(watch.size(), 1u);
  add(task, {.output = OutputOptions()});
  EXPECT_TRUE(until([&] { return count(task, Kind::kLost) == 2; })) << "lost already when it was added";
  EXPECT_EQ(text(task, "stdout"), "before\nbefore\n") << "and read from its files";
  command(0, "exit 0");
}

TEST_F(WatchTest, AnAdoptedTaskIsLostAndWatchedAgainUnderItsNewId) {
  Task task = puppet();
  Task watched(task.pid(), pool().path());
  const pid_t former = task.pid();
  std::vector<WatchEvent> told;
  const auto keep = [&](Task&, const WatchEvent& event) { told.push_back(event); };
  watch.add(watched, keep);
  ASSERT_EQ(watch.wait(Seconds(0.05)), 0u);
  kill_supervisor(task);
  Task adopted = pool().adopt(former);
  ASSERT_TRUE(until([&] { return !told.empty(); }));
  EXPECT_EQ(told[0].kind, Kind::kLost);
  EXPECT_EQ(told[0].adopted_by, adopted.pid()) << told[0].error.what();
  watch.add(watched, keep);
  command(0, "exit 0");
  ASSERT_TRUE(until([&] { return told.size() == 2; }));
  EXPECT_EQ(told[1].kind, Kind::kExit);
  EXPECT_EQ(watched.pid(), adopted.pid());
}

TEST_F(WatchTest, AStoppedSupervisorHoldsUpNoOther) {
  Task stopped = puppet();
  Task late = puppet();
  Task other = puppet();
  ASSERT_TRUE(send_signal(stopped.pid(), SIGSTOP));
  stopped.set_timeout(Seconds(0.2));
  add(late);
  add(stopped);
  add(other);
  ASSERT_EQ(await(stopped, Kind::kUnresponsive)->error.code(), "unresponsive");
  ASSERT_TRUE(send_signal(late.pid(), SIGSTOP));
  command(2, "exit 6");
  EXPECT_EQ(await(other, Kind::kExit)->status["exit_code"], 6);
  command(0, "exit 7");
  command(1, "exit 8");
  for (const Task& task : {stopped, late})
    EXPECT_TRUE(send_signal(task.pid(), SIGCONT));
  EXPECT_EQ(await(stopped, Kind::kExit)->status["exit_code"], 7);
  EXPECT_EQ(await(late, Kind::kExit)->status["exit_code"], 8);
}

TEST_F(WatchTest, AForeignLoopSleepsUntilSomethingHappens) {
  Task task = puppet();
  add(task);
  while (watch.dispatch() == 0) {
    pollfd entry{watch.descriptor(), POLLIN, 0};
    const int ready = poll(&entry, 1, 300);
    if (ready == 0) command(0, "exit 0");  // its answers have come, and nothing more does by itself
    ASSERT_GE(ready, 0);
  }
  EXPECT_EQ(last(task, Kind::kExit)->status["exit_code"], 0);
}

TEST_F(WatchTest, AnIdleWatchDoesNotWakeUp) {
  std::vector<Task> tasks;
  for (int i = 0; i < 30; ++i) {
    tasks.push_back(awkward({"sleep"}));
    add(tasks.back(), {.meta = true, .streams = true, .output = OutputOptions()});
  }
  while (watch.wait(Seconds(0.2)) > 0) {
  }
  const auto switches = [] {
    return process_number(static_cast<pid_t>(syscall(SYS_gettid)), "voluntary_ctxt_switches");
  };
  const auto before = switches();
  EXPECT_EQ(watch.wait(Seconds(1)), 0u);
  EXPECT_LE(switches() - before, 2) << "one is the end of this wait";
}

TEST_F(WatchTest, AThousandTasksEndInOneWatch) {
  constexpr size_t kTasks = 1000;
  std::vector<Task> tasks;
  std::map<pid_t, int> expected, ended;
  Watch::Callback keep = [&](Task& task, const WatchEvent& event) {
    if (event.kind != Kind::kExit) return;
    ended[task.pid()] = event.status["exit_code"];
    EXPECT_TRUE(watch.remove(event.id));
  };
  for (size_t i = 0; i < kTasks; ++i) {
    const int code = static_cast<int>(i % 250);
    tasks.push_back(spawn({.exec = {"/bin/sh", "-c", "exit " + std::to_string(code)}}));
    expected[tasks.back().pid()] = code;
    watch.add(tasks.back(), keep);
    if (i % 10 == 0) watch.dispatch();
  }
  watch.run();
  EXPECT_EQ(ended, expected);
}

}  // namespace
}  // namespace bgtask::e2e
