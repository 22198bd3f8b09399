#include <bgtask/task.h>
#include <gtest/gtest.h>

#include <atomic>
#include <deque>
#include <string>

#include "tests/client/support.h"

namespace bgtask {
namespace {

namespace fs = std::filesystem;
using test::answering;
using test::error_of;
using test::FakeServer;
using test::Peer;
using test::status_document;

constexpr pid_t kId = 10;

class StreamTest : public test::PoolTest {
 protected:
  StreamTest() : task(kId, path()) { make_task(kId, status_document(kId)); }
  ~StreamTest() override { task.disconnect(); }
  Task task;
};

/// A page of a byte stream as a supervisor sends it.
Json page(std::uint64_t offset, const std::string& data, std::uint64_t limit, std::uint64_t lost = 0) {
  return {{"offset", offset},
          {"data", Json::binary({data.begin(), data.end()})},
          {"missed", 0},
          {"start", 0},
          {"consumed", offset + data.size()},
          {"limit", limit},
          {"lost", lost},
          {"eof", false}};
}

/// Answers each `read` with the next page, and keeps the parameters.
class Pages {
 public:
  explicit Pages(std::deque<Json> pages) : pages_(std::move(pages)) {}
  void operator()(Peer& peer) {
    for (Json request = peer.request(); !request.is_null(); request = peer.request()) {
      asked.push_back(request.at("params"));
      peer.reply(request, pages_.empty() ? page(0, "", 0) : pages_.front());
      if (!pages_.empty()) pages_.pop_front();
    }
  }
  std::vector<Json> asked;

 private:
  std::deque<Json> pages_;
};

TEST_F(StreamTest, NamesAndNumbers) {
  EXPECT_EQ(task.stream("out").name(), "stdout");
  EXPECT_EQ(task.stream("stderr").name(), "stderr");
  EXPECT_EQ(task.stream(0).name(), "stdin");
  EXPECT_EQ(task.stream("data").name(), "data");
  for (const char* wrong : {"", "1", "STDOUT", "stdout "}) {
    EXPECT_EQ(error_of([&] { task.stream(wrong); }), "bad_argument") << wrong;
  }
  EXPECT_EQ(error_of([&] { task.stream(3); }), "bad_argument");
  EXPECT_EQ(error_of([&] { task.stream(-1); }), "bad_argument");
}

TEST_F(StreamTest, WhatAStreamCannotDoIsABadArgument) {
  EXPECT_EQ(error_of([&] { task.stream("stdin").read(); }), "bad_argument");
  EXPECT_EQ(error_of([&] { task.stream("stdin").peek(); }), "bad_argument");
  EXPECT_EQ(error_of([&] { task.stream("stdin").discard(); }), "bad_argument");
  EXPECT_EQ(error_of([&] { task.stream("data").read(); }), "bad_argument");
  EXPECT_EQ(error_of([&] { task.stream("stdout").messages(); }), "bad_argument");
  EXPECT_EQ(error_of([&] { task.stream("stdout").peek(5, 4); }), "bad_argument");
  EXPECT_EQ(error_of([&] { task.stream("stdout").peek(-1); }), "bad_argument");
}

TEST_F(StreamTest, PeekReadsTheFile) {
  make_rings(kId, "hello world", "", 6);
  const io::UniqueFd alive = hold_lock(kId);  // but nobody listens
  const Stream out = task.stream("stdout");
  EXPECT_EQ(out.peek().data, "world");
  EXPECT_EQ(out.peek().offset, 6u);
  EXPECT_EQ(out.peek(0).data, "hello world");
  EXPECT_EQ(out.peek(1, 4).data, "ell");
  EXPECT_EQ(out.peek(9, 100).data, "ld");
  EXPECT_EQ(out.peek(50, 100).data, "");
  EXPECT_EQ(out.limit(), 11u);
  EXPECT_EQ(out.consumed(), 6u);
  EXPECT_EQ(out.start(), 0u);
  const MessagesResult messages = task.stream("data").peek_messages();
  ASSERT_EQ(messages.size(), 3u);
  EXPECT_EQ(messages.messages[0].data, "one");
  EXPECT_EQ(messages.messages[1].data, "");
  EXPECT_DOUBLE_EQ(messages.messages[2].time, 1'700'000'000.25);
  EXPECT_EQ(task.stream("data").peek_messages(2, 3).messages.at(0).offset, 2u);
}

TEST_F(StreamTest, OfALostTaskReadIsPeek) {
  make_rings(kId, "hello world", "", 6);
  for (int i = 0; i < 2; ++i)
    EXPECT_EQ(task.stream("stdout").read().data, "world") << "nothing is consumed";
  EXPECT_EQ(task.stream("stdout").read(0, 5).data, "hello");
  EXPECT_EQ(task.stream("data").messages().size(), 3u);
  EXPECT_EQ(error_of([&] { task.stream("stdout").discard(); }), "lost");
  EXPECT_EQ(error_of([&] { task.stream("stdin").write("x"); }), "lost");
}

TEST_F(StreamTest, OfALostTaskWithMemoryRingsNothingIsLeft) {
  Json status = status_document(kId);
  status["persistent"] = false;
  write_file(task_path(kId) / "status", status.dump());
  EXPECT_EQ(error_of([&] { task.stream("stdout").read(); }), "lost");
  EXPECT_EQ(error_of([&] { task.stream("stdout").peek(); }), "lost");
  EXPECT_EQ(task.stream("stdout").limit(), 7u) << "the published position";
}

TEST_F(StreamTest, ReadTakesPageAfterPageUpToTheFirstLimit) {
  const io::UniqueFd alive = hold_lock(kId);
  Pages pages({page(0, "abc", 8), page(3, "def", 9), page(6, "gh", 10)});
  FakeServer server(task_path(kId), std::ref(pages));
  const ReadResult result = task.stream("stdout").read();
  EXPECT_EQ(result.data, "abcdefgh");
  EXPECT_EQ(result.offset, 0u);
  EXPECT_EQ(result.consumed, 8u);
  EXPECT_EQ(result.limit, 10u);
  ASSERT_EQ(pages.asked.size(), 3u);
  EXPECT_EQ(pages.asked[0], (Json{{"stream", "stdout"}}));
  EXPECT_EQ(pages.asked[1].at("count"), 5);
  EXPECT_FALSE(pages.asked[1].contains("offset")) << "another reader may have taken what follows";
  task.disconnect();
}

TEST_F(StreamTest, APageThatDoesNotFollowOnIsKeptForTheNextRead) {
  const io::UniqueFd alive = hold_lock(kId);
  Pages pages({page(0, "abc", 20), page(10, "klm", 20, 5), page(13, "nopqrst", 20, 5)});
  FakeServer server(task_path(kId), std::ref(pages));
  const ReadResult first = task.stream("stdout").read();
  EXPECT_EQ(first.data, "abc");
  EXPECT_EQ(first.missed, 0u);
  const ReadResult second = task.stream("stdout").read();
  EXPECT_EQ(second.offset, 10u);
  EXPECT_EQ(second.data, "klmnopqrst");
  EXPECT_EQ(second.missed, 5u) << "of the seven, two were another reader's";
  task.disconnect();
}

TEST_F(StreamTest, ARangeIsReadByItsOffsets) {
  const io::UniqueFd alive = hold_lock(kId);
  Pages pages({page(10, "abc", 100), page(13, "def", 100)});
  FakeServer server(task_path(kId), std::ref(pages));
  const ReadResult result = task.stream("stderr").read(10, 16);
  EXPECT_EQ(result.data, "abcdef");
  ASSERT_EQ(pages.asked.size(), 2u);
  EXPECT_EQ(pages.asked[0], (Json{{"stream", "stderr"}, {"offset", 10}, {"count", 6}}));
  EXPECT_EQ(pages.asked[1], (Json{{"stream", "stderr"}, {"offset", 13}, {"count", 3}}));
  task.disconnect();
}

TEST_F(StreamTest, AGapInARangeCountsAsMissed) {
  const io::UniqueFd alive = hold_lock(kId);
  Pages pages({page(10, "abc", 100), page(20, "xyz", 100)});
  FakeServer server(task_path(kId), std::ref(pages));
  const ReadResult result = task.stream("stdout").read(10, 23);
  EXPECT_EQ(result.offset, 20u);
  EXPECT_EQ(result.data, "xyz");
  EXPECT_EQ(result.missed, 10u);
  task.disconnect();
}

TEST_F(StreamTest, AServerThatNeverGetsAnywhereIsGivenUp) {
  const io::UniqueFd alive = hold_lock(kId);
  Pages pages({page(5, "abc", 1000), page(0, "abc", 1000)});
  FakeServer server(task_path(kId), std::ref(pages));
  EXPECT_EQ(task.stream("stdout").read().data, "abc");
  task.disconnect();
}

TEST_F(StreamTest, PeekAsksTheSupervisorWhereRingsAreInMemory) {
  const io::UniqueFd alive = hold_lock(kId);
  Pages pages(std::deque<Json>{page(4, "abc", 7)});
  FakeServer server(task_path(kId), std::ref(pages));
  EXPECT_EQ(task.stream("stdout").peek().data, "abc");
  EXPECT_EQ(pages.asked.at(0), (Json{{"stream", "stdout"}, {"peek", true}}));
  task.disconnect();
}

TEST_F(StreamTest, RepliesOfAnyShapeAreTaken) {
  const io::UniqueFd alive = hold_lock(kId);
  for (const Json& nonsense :
       {Json(), Json(5), Json::array(), Json{{"data", 7}, {"offset", -1}, {"limit", "x"}},
        Json{{"messages", {1, "x", Json::object()}}}}) {
    FakeServer server(task_path(kId), answering({{"read", nonsense}, {"write", nonsense}}));
    EXPECT_EQ(task.stream("stdout").read().data, "");
    EXPECT_EQ(task.stream("data").messages().offset, 0u);
    EXPECT_EQ(task.stream("stdin").write("x").accepted, 0u);
    task.disconnect();
    fs::remove(task_path(kId) / "socket");
  }
}

TEST_F(StreamTest, WriteTellsHowMuchWasTaken) {
  const io::UniqueFd alive = hold_lock(kId);
  std::uint64_t room = 300'000;
  FakeServer server(task_path(kId), [&](Peer& peer) {
    for (Json request = peer.request(); !request.is_null(); request = peer.request()) {
      EXPECT_FALSE(request.at("params").contains("follows")) << "it has not said that it knows this";
      const std::uint64_t size = request.at("params").at("data").get_binary().size();
      const std::uint64_t accepted = std::min<std::uint64_t>(size, room);
      room -= accepted;
      if (accepted == 0) {
        room = 200'000;  // somebody reads
        peer.fail(request, {{"error", "would_block"}});
      } else {
        peer.reply(request, {{"accepted", accepted}, {"pending", 300'000 - room}});
      }
    }
  });
  const std::string data(400'000, 'x');
  EXPECT_EQ(task.stream("stdin").write(data).accepted, 300'000u);
  EXPECT_EQ(error_of([&] { task.stream("stdin").write(data); }), "would_block");
  task.stream("stdin").write_all(std::string(900'000, 'y'));
  task.disconnect();
}

TEST_F(StreamTest, WritesOnTheWayAreSentAgainFromWhereOneWasCut) {
  const io::UniqueFd alive = hold_lock(kId);
  constexpr std::uint64_t kQueue = 1 << 20;
  std::string taken;
  int refused = 0;
  FakeServer server(task_path(kId), [&](Peer& peer) {
    bool whole = false;
    int writes = 0;
    for (Json request = peer.request(); !request.is_null(); request = peer.request()) {
      const Json& params = request.at("params");
      const auto& data = params.at("data").get_binary();
      if (params.value("follows", false) && !whole) {
        ++refused;
        peer.fail(request, {{"error", "would_block"}});
        continue;
      }
      // Some other writer has taken the room in the meantime.
      const std::size_t accepted = ++writes % 5 == 0 ? data.size() / 3 : data.size();
      whole = accepted == data.size();
      taken.append(data.begin(), data.begin() + static_cast<std::ptrdiff_t>(accepted));
      peer.reply(request, {{"accepted", accepted}, {"pending", 0}, {"room", kQueue}});
    }
  });
  std::string data;
  while (data.size() < 10 * kQueue)
    data += std::to_string(data.size()) + "\n";
  task.stream("stdin").write_all(data);
  task.disconnect();
  EXPECT_TRUE(taken == data);
  EXPECT_GT(refused, 0) << "several were on the way";
}

TEST_F(StreamTest, AFailureAmongWritesOnTheWayIsTold) {
  const io::UniqueFd alive = hold_lock(kId);
  FakeServer server(task_path(kId), [&](Peer& peer) {
    int writes = 0;
    for (Json request = peer.request(); !request.is_null(); request = peer.request()) {
      if (request.at("method") == "ping") {
        peer.reply(request, "pong");
      } else if (++writes == 3) {
        peer.fail(request, {{"error", "stdin_closed"}});
      } else {
        const std::size_t size = request.at("params").at("data").get_binary().size();
        peer.reply(request, {{"accepted", size}, {"pending", 0}, {"room", 1 << 20}});
      }
    }
  });
  EXPECT_EQ(error_of([&] { task.stream("stdin").write_all(std::string(4 << 20, 'x')); }), "stdin_closed");
  EXPECT_EQ(task.call("ping"), "pong") << "the replies that still came are not taken for this one's";
  task.disconnect();
}

TEST_F(StreamTest, TakeAsksForSoMuchPageByPage) {
  const io::UniqueFd alive = hold_lock(kId);
  std::vector<Json> asked;
  std::uint64_t consumed = 4;
  FakeServer server(task_path(kId), [&](Peer& peer) {
    for (Json request = peer.request(); !request.is_null(); request = peer.request()) {
      const Json& params = request.at("params");
      asked.push_back(params);
      const std::uint64_t size = std::min<std::uint64_t>(params.at("count").get<std::uint64_t>(), 3);
      const std::uint64_t offset = std::exchange(consumed, consumed + size);
      peer.reply(request, {{"offset", offset}, {"data", std::string(size, 'x')}, {"limit", 100}});
    }
  });
  const ReadResult result = task.stream("stdout").take(7);
  EXPECT_EQ(result.offset, 4u);
  EXPECT_EQ(result.data, "xxxxxxx");
  ASSERT_EQ(asked.size(), 3u);
  EXPECT_EQ(asked[0].at("count"), 7);
  EXPECT_EQ(asked[2].at("count"), 1);
  task.disconnect();
}

TEST_F(StreamTest, TakeOfALostTaskLeavesAllInPlace) {
  make_rings(kId, "0123456789", {}, 3);
  EXPECT_EQ(task.stream("stdout").take(4).data, "3456");
  EXPECT_EQ(task.stream("stdout").take(4).data, "3456");
  EXPECT_EQ(task.stream("data").take_messages(1).size(), 1u);
}

}  // namespace
}  // namespace bgtask
