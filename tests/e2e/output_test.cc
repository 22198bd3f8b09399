// One cursor over all output: order, times, incremental reading by several, honest loss, notifications.
#include <atomic>
#include <csignal>
#include <thread>

#include "tests/e2e/fixture.h"
#include "tests/e2e/pattern.h"

namespace bgtask::e2e {
namespace {

struct Piece {
  std::string stream, data;
  bool operator==(const Piece&) const = default;
};
void PrintTo(const Piece& piece, std::ostream* out) {
  *out << piece.stream << ":" << piece.data;
}

class OutputTest : public E2eTest {
 protected:
  /// Makes the child produce a piece and waits until it has been taken in, and is in the index as well.
  void produce(Task& task, const std::string& stream, const std::string& word) {
    static const std::map<std::string, std::string> kVerbs = {
        {"stdout", "out"}, {"stderr", "err"}, {"data", "data"}};
    const uint64_t before = task.stream(stream).limit();
    task.stream("stdin").write_all(kVerbs.at(stream) + " " + word + "\n");
    ASSERT_TRUE(wait_limit(task, stream, before + 1));
    task.call("ping");  // the supervisor, which does one thing after the other, is done with it
    produced_.push_back({stream, stream == "data" ? word : word + "\n"});
  }
  std::vector<Piece> produced_;
};

std::vector<Piece> pieces(const std::vector<OutputChunk>& chunks) {
  std::vector<Piece> result;
  for (const OutputChunk& chunk : chunks)
    result.push_back({chunk.stream, chunk.data});
  return result;
}

double now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

TEST_F(OutputTest, TwoReadersSeeEverythingInTheOrderInWhichItWasProduced) {
  Task task = awkward({"puppet"});
  Task first(task.pid(), pool().path()), second(task.pid(), pool().path());
  std::vector<OutputChunk> seen_by_first, seen_by_second;
  uint64_t first_cursor = 0, second_cursor = 0;
  const double begin = now();
  const std::vector<std::string> streams = {"stdout", "stderr", "data"};
  for (size_t i = 0; i < 60; ++i) {
    produce(task, streams[i * 7 % 3], "word " + std::to_string(i));
    Output news = first.output({.cursor = first_cursor});
    EXPECT_EQ(news.chunks.size(), 1u) << i;
    for (auto& chunk : news.chunks)
      seen_by_first.push_back(chunk);
    first_cursor = news.next;
    if (i % 13 != 0) continue;
    news = second.output({.cursor = second_cursor});
    for (auto& chunk : news.chunks)
      seen_by_second.push_back(chunk);
    second_cursor = news.next;
  }
  Output rest = second.output({.cursor = second_cursor, .max_bytes = 1});
  for (; !rest.chunks.empty(); rest = second.output({.cursor = rest.next, .max_bytes = 1})) {
    for (auto& chunk : rest.chunks)
      seen_by_second.push_back(chunk);
  }
  const double end = now();
  EXPECT_EQ(pieces(seen_by_first), produced_);
  EXPECT_EQ(pieces(seen_by_second), produced_);
  double last = begin - 1;  // a coarse clock may lag
  uint64_t last_seq = 0;
  for (const OutputChunk& chunk : seen_by_second) {
    EXPECT_GE(chunk.time, last);
    EXPECT_LE(chunk.time, end + 1);
    EXPECT_GT(chunk.seq, last_seq);
    last = chunk.time;
    last_seq = chunk.seq;
  }
  EXPECT_EQ(first.output({.cursor = first_cursor}).next, first_cursor) << "nothing new, the cursor stays";
}

TEST_F(OutputTest, ReadingWithACursorConsumesNothing) {
  Task task = shell("printf abc");
  wait_exit(task);
  EXPECT_EQ(task.output().chunks.size(), 1u);
  EXPECT_EQ(task.output().chunks.size(), 1u);
  EXPECT_EQ(task.stream("stdout").consumed(), 0u);
  EXPECT_EQ(task.stream("stdout").read().data, "abc");
}

TEST_F(OutputTest, StreamsCanBeChosenAndTheEndIsSaid) {
  Task task = awkward({"puppet"});
  produce(task, "stdout", "a");
  produce(task, "stderr", "b");
  produce(task, "stdout", "c");
  Output errors = task.output({.streams = {"stderr"}});
  EXPECT_EQ(pieces(errors.chunks), (std::vector<Piece>{{"stderr", "b\n"}}));
  EXPECT_FALSE(errors.eof);
  EXPECT_FALSE(errors.lost.any());
  Output outs = task.output({.streams = {"stdout", "data"}});
  EXPECT_EQ(pieces(outs.chunks), (std::vector<Piece>{{"stdout", "a\n"}, {"stdout", "c\n"}}));
  EXPECT_EQ(outs.chunks[1].offset, 2u);
  task.stream("stdin").write_all("exit 0\n");
  wait_eof(task);
  EXPECT_TRUE(task.output().eof);
}

TEST_F(OutputTest, LossIsCountedToTheByte) {
  Task task = awkward({"pattern", "1048576"}, {.buffer = 65'536});
  ASSERT_EQ(wait_exit(task)["exit_code"], 0);
  std::vector<Output> replies = {task.output()};
  for (Encoding encoding : {Encoding::kJson, Encoding::kMsgpack}) {
    const Json reply = RawClient(socket_of(task), encoding).result("output");
    Output output;
    output.lost.out = reply["lost"]["stdout"];
    EXPECT_EQ(reply["lost"]["stderr"], 0);
    EXPECT_EQ(reply["lost"]["data"], 0);
    for (const Json& c : reply["chunks"]) {
      output.chunks.push_back({c["seq"], c["time"], c["stream"], c["offset"], bytes_of(c["data"])});
    }
    replies.push_back(output);
  }
  for (const Output& output : replies) {
    ASSERT_FALSE(output.chunks.empty());
    EXPECT_EQ(output.lost.out, 983'040u);
    uint64_t at = 983'040;
    for (const OutputChunk& chunk : output.chunks) {
      EXPECT_EQ(chunk.offset, at);
      EXPECT_LE(chunk.data.size(), 65'536u);
      EXPECT_TRUE(chunk.data == pattern(at, chunk.data.size()));
      at += chunk.data.size();
    }
    EXPECT_EQ(at, 1'048'576u);
  }
}

TEST_F(OutputTest, WhatWasReadBeforeTheLossIsNotCounted) {
  Task task = awkward({"puppet"}, {.buffer = 65'536});
  produce(task, "stdout", "abc");
  const Output before = task.output();
  task.stream("stdin").write_all("pattern 0 200000\n");
  ASSERT_TRUE(wait_limit(task, "stdout", 200'004));
  const Output after = task.output({.cursor = before.next});
  ASSERT_FALSE(after.chunks.empty());
  EXPECT_EQ(after.lost.out, 200'000u - 65'536);
  EXPECT_EQ(after.chunks[0].offset, 200'004u - 65'536);
  EXPECT_EQ(task.output({.cursor = after.next}).lost.out, 0u) << "loss is told once";
}

TEST_F(OutputTest, FollowersGetEverythingAsItComes) {
  Task task = awkward({"puppet"});
  std::vector<Piece> followed[2];
  std::vector<std::thread> threads;
  for (auto& list : followed) {
    threads.emplace_back([&list, &task, this] {
      Task own(task.pid(), pool().path());
      own.follow([&list](const Output& output) {
        for (const Piece& piece : pieces(output.chunks))
          list.push_back(piece);
        return true;
      });
    });
  }
  for (int i = 0; i < 30; ++i)
    produce(task, i % 2 == 0 ? "stdout" : "stderr", std::to_string(i));
  task.stream("stdin").write_all("exit 0\n");
  for (std::thread& thread : threads)
    thread.join();
  EXPECT_EQ(followed[0], produced_);
  EXPECT_EQ(followed[1], produced_);
}

TEST_F(OutputTest, AFollowerCanStopAndGoOnFromItsCursor) {
  Task task = awkward({"puppet"});
  produce(task, "stdout", "one");
  produce(task, "stdout", "two");
  std::string first;
  const uint64_t cursor = task.follow([&](const Output& output) {
    for (const auto& chunk : output.chunks)
      first += chunk.data;
    return first.size() < 8;
  });
  EXPECT_EQ(first, "one\ntwo\n");
  produce(task, "stdout", "three");
  EXPECT_EQ(pieces(task.output({.cursor = cursor}).chunks), (std::vector<Piece>{{"stdout", "three\n"}}));
}

// Many small writes are more than the index has records for. A client that keeps nothing but the cursor is
// given all that the rings hold, from a supervisor as from files.
TEST_F(OutputTest, BytesWithoutARecordAreGivenPageByPage) {
  constexpr size_t kBytes = 300'000;
  const std::string script =
      "head -c " + std::to_string(kBytes) + " /dev/zero | tr '\\0' x | dd bs=1 2>/dev/null";
  for (const Rings rings : {Rings::kFile, Rings::kMemory}) {
    Task task = spawn({.cmd = script, .rings = rings});
    ASSERT_EQ(wait_exit(task)["exit_code"], 0);
    std::string by_library;
    const uint64_t end = task.follow([&](const Output& output) {
      EXPECT_FALSE(output.lost.any() || output.taken.any());
      for (const OutputChunk& chunk : output.chunks)
        by_library += chunk.data;
      return true;
    });
    EXPECT_EQ(by_library, std::string(kBytes, 'x'));
    for (Encoding encoding : {Encoding::kJson, Encoding::kMsgpack}) {
      std::string text;
      uint64_t undated = 0;
      Json cursor = 0;
      for (int pages = 0; cursor != end && pages < 1000; ++pages) {
        RawClient client(socket_of(task), encoding);
        const Json page = client.result("output", {{"cursor", cursor}, {"max_bytes", 20'000}});
        EXPECT_EQ(page["lost"]["stdout"], 0);
        EXPECT_EQ(page["taken"]["stdout"], 0);
        for (const Json& chunk : page["chunks"]) {
          EXPECT_EQ(chunk["offset"], text.size());
          const std::string data = bytes_of(chunk["data"]);
          if (chunk["time"].is_null()) undated += data.size();
          text += data;
        }
        cursor = page["next"];
      }
      EXPECT_EQ(text, by_library);
      EXPECT_LT(undated, kBytes);
      RawClient subscriber(socket_of(task), encoding);
      subscriber.result("subscribe", {{"events", {"output", "exit"}}, {"cursor", 0}});
      size_t told = 0;
      for (bool exited = false; !exited;) {
        const auto event = subscriber.receive();
        ASSERT_TRUE(event);
        exited = (*event)["params"]["event"] == "exit";
        if (exited) continue;
        for (const Json& chunk : (*event)["params"]["chunks"])
          told += bytes_of(chunk["data"]).size();
      }
      EXPECT_EQ(told, kBytes);
    }
    RemoveReceipt receipt = task.remove({.collect = true});
    size_t collected = 0;
    for (const OutputChunk& chunk : receipt.output)
      collected += chunk.data.size();
    EXPECT_EQ(collected, kBytes);
  }
}

TEST_F(OutputTest, WhatWasConsumedIsToldApartFromWhatIsLost) {
  Task task = awkward({"pattern", "100000"}, {.buffer = 65'536});
  ASSERT_EQ(wait_exit(task)["exit_code"], 0);
  EXPECT_EQ(task.stream("stdout").take(1000).data.size(), 1000u);
  const Output output = task.output();
  EXPECT_EQ(output.lost.out, 100'000u - 65'536);
  EXPECT_EQ(output.taken.out, 1000u);
  const Json reply = RawClient(socket_of(task)).result("output");
  EXPECT_EQ(reply["lost"]["stdout"], 100'000 - 65'536);
  EXPECT_EQ(reply["taken"]["stdout"], 1000);
  const ReadResult all = task.stream("stdout").peek(0);
  EXPECT_EQ(all.missed, 100'000u - 65'536 + 1000);
  EXPECT_EQ(all.taken, 1000u);
}

class NotificationTest : public OutputTest, public testing::WithParamInterface<Encoding> {};

TEST_P(NotificationTest, SubscribersAreToldOfEverythingTheyAskedFor) {
  Task task = awkward({"puppet"});
  produce(task, "stdout", "before");
  RawClient client(socket_of(task), GetParam());
  const Json subscribed =
      client.result("subscribe", {{"events", {"output", "exit", "meta", "stream"}}, {"cursor", 0}});
  ASSERT_TRUE(subscribed.contains("next")) << subscribed;
  produce(task, "stderr", "after");
  produce(task, "data", "message");
  task.apply_meta({{"colour", "blue"}});
  task.stream("stdin").write_all("exit 6\n");
  std::vector<Piece> seen;
  bool exited = false, meta = false;
  std::map<std::string, bool> ended;
  for (const Json& event : client.events)
    ADD_FAILURE() << "before the reply: " << event;
  while (!exited || !meta || ended.size() < 3) {
    const auto message = client.receive();
    ASSERT_TRUE(message.has_value()) << "exit " << exited << " meta " << meta << " ended " << ended.size();
    ASSERT_EQ((*message)["method"], "event");
    ASSERT_FALSE(message->contains("id"));
    const Json& params = (*message)["params"];
    if (params["event"] == "output") {
      EXPECT_TRUE(params.contains("next") && params.contains("lost"));
      for (const Json& c : params["chunks"])
        seen.push_back({c["stream"], bytes_of(c["data"])});
    } else if (params["event"] == "exit") {
      exited = true;
      EXPECT_EQ(params["status"]["exit_code"], 6);
    } else if (params["event"] == "meta") {
      meta = true;
      EXPECT_EQ(params["meta"]["colour"], "blue");
    } else if (params["event"] == "stream") {
      if (params["stream"] == "stdin") continue;
      ended[params["stream"]] = params["eof"];
      EXPECT_EQ(params["error"], nullptr);
    }
  }
  EXPECT_EQ(seen, produced_);
  EXPECT_EQ(ended, (std::map<std::string, bool>{{"data", true}, {"stderr", true}, {"stdout", true}}));
}

TEST_P(NotificationTest, WithoutACursorTheyStartNow) {
  Task task = awkward({"puppet"});
  produce(task, "stdout", "before");
  RawClient client(socket_of(task), GetParam());
  client.result("subscribe", {{"events", {"output"}}, {"streams", {"stdout"}}});
  produce(task, "stderr", "unwanted");
  produce(task, "stdout", "after");
  const auto message = client.receive();
  ASSERT_TRUE(message.has_value());
  ASSERT_EQ((*message)["params"]["chunks"].size(), 1u) << *message;
  EXPECT_EQ(bytes_of((*message)["params"]["chunks"][0]["data"]), "after\n");
  EXPECT_EQ(client.result("unsubscribe"), true);
  produce(task, "stdout", "unheard");
  EXPECT_EQ(client.result("ping"), "pong");
  EXPECT_TRUE(client.events.empty());
}

INSTANTIATE_TEST_SUITE_P(Encodings, NotificationTest, testing::Values(Encoding::kJson, Encoding::kMsgpack),
                         [](const auto& test) { return encoding_name(test.param); });

TEST_F(OutputTest, WaitingForOutputFiresWhenThereIsSome) {
  Task task = awkward({"puppet"});
  WaitResult waited = task.wait({.for_events = {"output"}, .timeout = Seconds(0.01)});
  EXPECT_EQ(waited.fired, "timeout");
  EXPECT_EQ(waited.next, 0u);
  RawClient waiter(socket_of(task));
  waiter.request("wait", {{"for", {"output"}}, {"cursor", 0}});
  produce(task, "stdout", "now");
  const auto reply = waiter.receive();
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ((*reply)["result"]["fired"], "output");
  const uint64_t next = (*reply)["result"]["next"];
  EXPECT_TRUE(task.output({.cursor = next}).chunks.empty());
  waiter.request("wait", {{"for", {"output"}}, {"cursor", next}});
  task.stream("stdin").write_all("exit 0\n");
  const auto end = waiter.receive();
  ASSERT_TRUE(end.has_value());
  EXPECT_EQ((*end)["result"]["fired"], "eof") << "no output can come any more";
}

TEST_F(OutputTest, WhatHasEndedIsFollowedWithoutItsSupervisor) {
  Task task = shell("echo last");
  wait_exit(task);
  ASSERT_TRUE(eventually([&] { return task.stream("stdout").info()["eof"] == true && task.output().eof; }));
  Task follower(task.pid(), pool().path());
  ASSERT_TRUE(send_signal(task.pid(), SIGSTOP));
  std::atomic<bool> done = false;
  std::string got;
  std::thread following([&] {
    follower.follow([&](const Output& output) {
      for (const OutputChunk& chunk : output.chunks)
        got += chunk.data;
      return true;
    });
    done = true;
  });
  EXPECT_TRUE(eventually([&] { return done.load(); }));
  send_signal(task.pid(), SIGCONT);
  following.join();
  EXPECT_EQ(got, "last\n");
}

TEST_F(OutputTest, TheCommandLineShowsLogsWithoutConsuming) {
  Task task = awkward({"puppet"});
  for (const char* word : {"one", "two", "three"})
    produce(task, "stdout", word);
  produce(task, "stderr", "oops");
  const std::string pid = std::to_string(task.pid());
  EXPECT_EQ(bgtask({"logs", "--raw", "--stream", "stdout", pid}).out, "one\ntwo\nthree\n");
  EXPECT_EQ(bgtask({"logs", "--raw", "--stream", "err", pid}).out, "oops\n");
  EXPECT_EQ(bgtask({"logs", "-n", "1", "--stream", "out", pid}).out, "three\n");
  EXPECT_EQ(task.stream("stdout").consumed(), 0u);
  task.stream("stdin").write_all("exit 3\n");
  const ProgramResult followed = bgtask({"logs", "-f", "--raw", "--stream", "out", pid});
  EXPECT_EQ(followed.status, 0) << followed.err;
  EXPECT_EQ(followed.out, "one\ntwo\nthree\n");
}

}  // namespace
}  // namespace bgtask::e2e
