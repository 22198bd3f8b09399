#include <bgtask/task.h>
#include <gtest/gtest.h>

#include <atomic>
#include <string>

#include "tests/client/support.h"

namespace bgtask {
namespace {

using test::error_of;
using test::FakeServer;
using test::Peer;
using test::status_document;

constexpr pid_t kId = 10;

class OutputTest : public test::PoolTest {
 protected:
  OutputTest() : task(kId, path()) { make_task(kId, status_document(kId)); }
  ~OutputTest() override { task.disconnect(); }
  Task task;
};

std::string text_of(const Output& output, std::string_view stream) {
  std::string text;
  for (const OutputChunk& chunk : output.chunks) {
    if (chunk.stream == stream) text += chunk.data;
  }
  return text;
}

TEST_F(OutputTest, ComesFromTheFilesInOrder) {
  make_rings(kId, "out", "err");
  const Output output = task.output();
  ASSERT_EQ(output.chunks.size(), 5u);
  EXPECT_EQ(output.chunks[0].seq, 1u);
  EXPECT_EQ(output.chunks[0].data, "out");
  EXPECT_EQ(output.chunks[1].stream, "stderr");
  EXPECT_EQ(output.chunks[3].stream, "data");
  EXPECT_EQ(output.chunks[3].data, "");
  EXPECT_EQ(output.next, 6u);
  EXPECT_FALSE(output.lost.any());
  EXPECT_TRUE(task.output({.cursor = output.next}).chunks.empty());
}

TEST_F(OutputTest, StreamsCanBeChosen) {
  make_rings(kId, "out", "err");
  EXPECT_EQ(task.output({.streams = {"err"}}).chunks.size(), 1u);
  EXPECT_EQ(task.output({.streams = {"stdout", "data"}}).chunks.size(), 4u);
  EXPECT_EQ(error_of([&] { task.output({.streams = {"stdin"}}); }), "bad_argument");
  EXPECT_EQ(error_of([&] { task.output({.streams = {"stdout", "x"}}); }), "bad_argument");
}

TEST_F(OutputTest, TheBoundIsSoftByOneRecord) {
  make_rings(kId, std::string(1 << 20, 'x'), "");
  EXPECT_EQ(task.output({.max_bytes = 1}).chunks.size(), 1u);
  EXPECT_LE(text_of(task.output({.max_bytes = 200'000}), "stdout").size(), 200'000u);
  EXPECT_EQ(text_of(task.output(), "stdout").size(), 1u << 20);
}

TEST_F(OutputTest, WhatAdjoinsIsJoinedWhereThatIsAskedFor) {
  make_rings(kId, std::string(1 << 20, 'x'), "");
  EXPECT_EQ(task.output({.streams = {"stdout"}}).chunks.size(), 16u);
  const Output joined = task.output({.streams = {"stdout"}, .joined = true});
  ASSERT_EQ(joined.chunks.size(), 1u);
  EXPECT_EQ(joined.chunks[0].offset, 0u);
  EXPECT_EQ(joined.chunks[0].seq, 16u);
  EXPECT_EQ(joined.chunks[0].data, std::string(1 << 20, 'x'));
  EXPECT_LE(text_of(task.output({.max_bytes = 200'000, .joined = true}), "stdout").size(), 200'000u);
}

TEST_F(OutputTest, OfMemoryRingsComesThroughTheSupervisor) {
  const io::UniqueFd alive = hold_lock(kId);
  FakeServer server(task_path(kId), [](Peer& peer) {
    for (Json request = peer.request(); !request.is_null(); request = peer.request()) {
      const Json& params = request.at("params");
      Json reply{{"chunks", Json::array()}, {"next", 2}, {"lost", {{"stdout", 7}}}, {"eof", true}};
      if (params.value("cursor", 0) == 0) {
        reply["chunks"].push_back({{"seq", 1},
                                   {"time", 1.5},
                                   {"stream", "stderr"},
                                   {"offset", 3},
                                   {"data", params.at("streams").dump()}});
      } else {
        reply["lost"] = Json::object();
      }
      peer.reply(request, reply);
    }
  });
  const Output output = task.output({.streams = {"err"}});
  ASSERT_EQ(output.chunks.size(), 1u);
  EXPECT_EQ(output.chunks[0].data, R"(["stderr"])");
  EXPECT_EQ(output.chunks[0].offset, 3u);
  EXPECT_EQ(output.next, 2u);
  EXPECT_EQ(output.lost.out, 7u);
  EXPECT_TRUE(output.eof);
  task.disconnect();
}

TEST_F(OutputTest, FollowOfALostTaskGivesWhatIsThereAndEnds) {
  make_rings(kId, "out", "err");
  std::string seen;
  const std::uint64_t next = task.follow([&](const Output& output) {
    seen += text_of(output, "stdout") + text_of(output, "stderr");
    return true;
  });
  EXPECT_EQ(seen, "outerr");
  EXPECT_EQ(next, 6u);
}

TEST_F(OutputTest, FollowEndsWhenTheCallbackSaysSo) {
  make_rings(kId, "out", "err");
  int calls = 0;
  const std::uint64_t next = task.follow([&](const Output&) { return ++calls < 2; }, {.max_bytes = 1});
  EXPECT_EQ(calls, 2);
  EXPECT_EQ(next, 3u);
}

TEST_F(OutputTest, FollowWaitsInTheSupervisorForMore) {
  make_rings(kId, "out", "err");
  const io::UniqueFd alive = hold_lock(kId);
  std::vector<Json> waits;
  FakeServer server(task_path(kId), [&](Peer& peer) {
    for (Json request = peer.request(); !request.is_null(); request = peer.request()) {
      EXPECT_EQ(request.at("method"), "wait");
      waits.push_back(request.at("params"));
      peer.reply(request, {{"fired", waits.size() < 3 ? "output" : "exit"}, {"next", 6}});
    }
  });
  EXPECT_EQ(task.follow([](const Output&) { return true; }), 6u);
  ASSERT_EQ(waits.size(), 3u);
  EXPECT_EQ(waits[0], (Json{{"for", {"exit", "output", "eof"}}, {"cursor", 6}, {"status", false}}));
  task.disconnect();
}

TEST_F(OutputTest, AnOlderSupervisorIsAskedAsItKnows) {
  make_rings(kId, "out", "err");
  const io::UniqueFd alive = hold_lock(kId);
  std::vector<Json> waits;
  FakeServer server(task_path(kId), [&](Peer& peer) {
    for (Json request = peer.request(); !request.is_null(); request = peer.request()) {
      waits.push_back(request.at("params"));
      if (waits.back().contains("status")) {
        peer.fail(request, {{"error", "bad_argument"}, {"parameter", "status"}});
      } else {
        peer.reply(request, {{"fired", waits.size() < 3 ? "output" : "exit"}, {"next", 6}});
      }
    }
  });
  EXPECT_EQ(task.follow([](const Output&) { return true; }), 6u);
  ASSERT_EQ(waits.size(), 3u);
  EXPECT_TRUE(waits[0].contains("status"));
  EXPECT_EQ(waits[1], (Json{{"for", {"exit", "output", "eof"}}, {"cursor", 6}}));
  EXPECT_EQ(waits[2], waits[1]);
  task.disconnect();
}

TEST_F(OutputTest, FollowEndsWithTheSupervisor) {
  make_rings(kId, "out", "err");
  io::UniqueFd alive = hold_lock(kId);
  FakeServer server(task_path(kId), [&](Peer& peer) {
    peer.request();
    alive.reset();
  });
  EXPECT_EQ(task.follow([](const Output&) { return true; }), 6u);
}

}  // namespace
}  // namespace bgtask
