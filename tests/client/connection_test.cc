#include "client/src/connection.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <thread>

#include "client/src/task_core.h"
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

constexpr pid_t kId = 10;

/// A task whose lock is held and whose socket is ours.
class ConnectionTest : public test::PoolTest {
 protected:
  ConnectionTest() : core(kId, path()) {
    make_task(kId, status_document(kId));
    make_rings(kId, "");
    lock = hold_lock(kId);
    core.set_timeout(Seconds(20));
  }
  std::string error(std::string_view method = "info") {
    const Result<Json> reply = core.call(method, Json::object());
    return reply ? "" : std::string(word(reply.error().code));
  }
  void die() { lock.reset(); }

  TaskCore core;
  io::UniqueFd lock;
};

TEST_F(ConnectionTest, RepliesAreFoundAmongOthers) {
  FakeServer server(task_path(kId), [](Peer& peer) {
    const Json request = peer.request();
    peer.event({{"event", "output"}, {"chunks", Json::array()}});
    peer.reply({{"id", 4711}}, "somebody else's");
    peer.reply({{"id", "1"}}, "a text is not a number");
    peer.send(wire::encode_msgpack(Json::array({1, 2})));
    peer.reply(request, request.at("method"));
    peer.wait_for_close();
  });
  const Result<Json> reply = core.call("ping", Json::object());
  ASSERT_TRUE(reply) << reply.error().message;
  EXPECT_EQ(*reply, "ping");
  core.disconnect();
}

TEST_F(ConnectionTest, EventsGoToWhoeverWaitsForThem) {
  FakeServer server(task_path(kId), [](Peer& peer) {
    const Json request = peer.request();
    for (int i = 0; i < 3; ++i)
      peer.event({{"n", i}});
    peer.reply(request, true);
    peer.wait_for_close();
  });
  Json seen = Json::array();
  const auto keep = [&seen](Json params) -> Status {
    seen.push_back(params.at("n"));
    return {};
  };
  ASSERT_TRUE(core.call("delete", Json::object(), core.deadline(), keep));
  EXPECT_EQ(seen, (Json{0, 1, 2}));
  core.disconnect();
}

TEST_F(ConnectionTest, OneConnectionServesManyCalls) {
  std::atomic<int> connections = 0;
  FakeServer server(task_path(kId), [&](Peer& peer) {
    ++connections;
    answering({})(peer);
  });
  for (int i = 0; i < 10; ++i)
    EXPECT_EQ(error("kill"), "");
  EXPECT_EQ(connections, 1);
  core.disconnect();
}

TEST_F(ConnectionTest, AnEndInTheMiddleOfAReplyIsNotTriedAgainWhereItMayHaveHappened) {
  std::atomic<int> requests = 0;
  FakeServer server(task_path(kId), [&](Peer& peer) {
    const Json request = peer.request();
    if (request.is_null()) return;
    ++requests;
    const std::string reply = wire::encode_msgpack(wire::make_reply(request.at("id"), "a long reply"));
    peer.send(reply.substr(0, reply.size() / 2));
  });
  EXPECT_EQ(error("kill"), "unresponsive");
  EXPECT_EQ(requests, 1);
  EXPECT_EQ(error("info"), "unresponsive");
  EXPECT_EQ(requests, 3) << "reading is tried once more";
}

TEST_F(ConnectionTest, ReadingMethodsSurviveAClosedConnection) {
  std::atomic<int> requests = 0;
  FakeServer server(task_path(kId), [&](Peer& peer) {
    const Json request = peer.request();
    if (++requests > 1) peer.reply(request, "at last");
  });
  EXPECT_EQ(core.call("info", Json::object()).value(), "at last");
}

TEST_F(ConnectionTest, ADeathMeanwhileIsLost) {
  FakeServer server(task_path(kId), [this](Peer& peer) {
    peer.request();
    die();
  });
  EXPECT_EQ(error("wait"), "lost");
}

TEST_F(ConnectionTest, ADeleteMeanwhileIsNotFound) {
  FakeServer server(task_path(kId), [this](Peer& peer) {
    peer.request();
    fs::remove(task_path(kId) / "lock");
  });
  EXPECT_EQ(error("wait"), "not_found");
}

TEST_F(ConnectionTest, ADeadlineIsTheTimeoutAndWhatIsAllowedBesides) {
  core.set_timeout(Seconds(1'000));
  const int milliseconds = core.deadline(Seconds(500)).poll_timeout();
  EXPECT_GT(milliseconds, 1'400'000);
  EXPECT_LE(milliseconds, 1'500'000);
}

TEST_F(ConnectionTest, SilenceEndsAtTheTimeout) {
  FakeServer server(task_path(kId), [](Peer& peer) { peer.wait_for_close(); });
  core.set_timeout(Seconds(0.2));
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(error(), "unresponsive");
  EXPECT_GE(test::seconds_since(start), 0.19);
  EXPECT_LT(test::seconds_since(start), 10);
}

TEST_F(ConnectionTest, ADripDoesNotExtendTheTimeout) {
  std::atomic<bool> given_up = false;
  FakeServer server(task_path(kId), [&](Peer& peer) {
    peer.request();
    const auto start = std::chrono::steady_clock::now();
    while (!given_up && test::seconds_since(start) < 20) {
      peer.event({{"event", "meta"}});
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  });
  core.set_timeout(Seconds(0.2));
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(error(), "unresponsive");
  given_up = true;
  EXPECT_LT(test::seconds_since(start), 10);
}

TEST_F(ConnectionTest, HugeAndDeepRepliesAreCut) {
  FakeServer server(task_path(kId), [](Peer& peer) {
    const Json request = peer.request();
    if (request.is_null()) return;
    if (request.at("method") == "ping") {
      peer.send("\x81\xa1x");
      for (int i = 0; i < 10'000; ++i)
        peer.send("\x91\x91\x91\x91");
    } else if (request.at("method") == "info") {
      peer.send(std::string("\x81\xa1x\xc6\x7f\xff\xff\xff", 8));  // 2 GiB will follow
      const std::string piece(1 << 20, 'x');
      for (int i = 0; i < 64; ++i)
        peer.send(piece);
    } else {
      peer.send(std::string("\x81\xa1x\xdd\xff\xff\xff\xff", 8));  // 2^32 - 1 elements
    }
    peer.wait_for_close();
  });
  EXPECT_EQ(error("ping"), "too_deep");
  EXPECT_EQ(error("info"), "frame_too_large");
  EXPECT_EQ(error("methods"), "frame_too_large");
}

TEST_F(ConnectionTest, ArbitraryBytesAreAnError) {
  FakeServer server(task_path(kId), [](Peer& peer) {
    peer.request();
    peer.send("HTTP/1.1 400 Bad Request\r\n\r\n");
    peer.wait_for_close();
  });
  EXPECT_EQ(error(), "parse_error");
}

TEST_F(ConnectionTest, BusyIsTriedAgainUntilTheDeadline) {
  std::atomic<int> refusals = 0;
  FakeServer server(task_path(kId), [&](Peer& peer) {
    if (refusals < 3) {
      ++refusals;
      peer.fail(nullptr, {{"error", "busy"}});
    } else {
      answering({{"kill", {{"signalled", 1}}}})(peer);
    }
  });
  EXPECT_EQ(error("kill"), "");
  EXPECT_EQ(refusals, 3);
  core.disconnect();
  refusals = -1'000'000;
  core.set_timeout(Seconds(0.2));
  // The last try may have begun so late that its refusal comes after the deadline.
  std::string said = error("kill");
  for (int again = 0; said == "unresponsive" && again < 5; ++again)
    said = error("kill");
  EXPECT_EQ(said, "busy");
}

TEST_F(ConnectionTest, OtherRefusalsAreHandedOn) {
  FakeServer server(task_path(kId), [](Peer& peer) {
    peer.request();
    peer.fail(nullptr, {{"error", "frame_too_large"}});
  });
  EXPECT_EQ(error("kill"), "frame_too_large");
}

TEST_F(ConnectionTest, AFullBacklogIsUnresponsive) {
  const Result<TaskDirectory> task = open_task(pool(), kId);
  const Result<io::UniqueFd> listener = io::listen_at(task->fd.get(), "socket", 0);
  ASSERT_TRUE(listener);
  std::vector<io::UniqueFd> waiting;
  for (;;) {
    Result<io::UniqueFd> socket = io::connect_at(task->fd.get(), "socket");
    if (!socket) break;
    waiting.push_back(std::move(*socket));
  }
  core.set_timeout(Seconds(0.2));
  EXPECT_EQ(error(), "unresponsive");
}

TEST_F(ConnectionTest, WhatIsNotASocketIsUnresponsiveOrLost) {
  core.set_timeout(Seconds(0.1));
  EXPECT_EQ(error(), "unresponsive") << "no socket at all";
  write_file(task_path(kId) / "socket", "");
  EXPECT_EQ(error(), "unresponsive");
  fs::remove(task_path(kId) / "socket");
  ASSERT_EQ(::mkfifo((task_path(kId) / "socket").c_str(), 0600), 0);
  EXPECT_EQ(error(), "unresponsive");
  die();
  const auto start = std::chrono::steady_clock::now();
  core.set_timeout(Seconds(10));
  EXPECT_EQ(error(), "lost");
  EXPECT_LT(test::seconds_since(start), 8);
}

TEST_F(ConnectionTest, AnImpostorIsNotTalkedTo) {
  const Result<TaskDirectory> task = open_task(pool(), kId);
  Result<io::UniqueFd> listener = io::listen_at(task->fd.get(), "socket", 8);
  ASSERT_TRUE(listener);
  // The kernel notes who called listen last.
  const auto listen_again = [&] { return ::listen(listener->get(), 8); };
  ASSERT_EQ(test::in_child(listen_again, kNobody), 0);
  EXPECT_EQ(error(), "impostor");
  ASSERT_EQ(::chown(path().c_str(), kNobody, static_cast<gid_t>(-1)), 0);
  ASSERT_EQ(::chown(task_path(kId).c_str(), kNobody, static_cast<gid_t>(-1)), 0);
  TaskCore his(kId, path());
  EXPECT_TRUE(his.connect(his.deadline())) << "his own task is his to answer for";
}

TEST_F(ConnectionTest, ARequestLargerThanTheSocketsBufferIsSentWhole) {
  FakeServer server(task_path(kId), [](Peer& peer) {
    const Json request = peer.request();
    peer.reply(request, request.at("params").at("data").get_binary().size());
    peer.wait_for_close();
  });
  const std::string data(wire::kMaxWriteData, 'x');
  const Json params{{"data", Json::binary({data.begin(), data.end()})}};
  EXPECT_EQ(core.call("write", params).value(), wire::kMaxWriteData);
  core.disconnect();
}

TEST_F(ConnectionTest, AClosedPeerRaisesNoSigpipe) {
  FakeServer server(task_path(kId), [](Peer& peer) { peer.close(); });
  const std::string data(wire::kMaxWriteData, 'x');
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(error("kill"), "unresponsive");
  EXPECT_FALSE(core.call("write", {{"data", data}}));
}

TEST_F(ConnectionTest, AnIdleConnectionThatWasClosedIsMadeAgain) {
  std::atomic<int> connections = 0;
  std::atomic<bool> closed = false;
  FakeServer server(task_path(kId), [&](Peer& peer) {
    ++connections;
    peer.reply(peer.request(), true);
    if (connections > 1) return peer.wait_for_close();
    peer.close();
    closed = true;
  });
  EXPECT_EQ(error("kill"), "");
  while (!closed)
    std::this_thread::yield();
  EXPECT_EQ(error("kill"), "") << "although kill is not tried twice";
  EXPECT_EQ(connections, 2);
  core.disconnect();
}

TEST_F(ConnectionTest, LeavesNoDescriptors) {
  const auto open_files = [] {
    return std::distance(fs::directory_iterator("/proc/self/fd"), fs::directory_iterator());
  };
  const auto before = open_files();
  {
    FakeServer server(task_path(kId), [](Peer& peer) { peer.reply(peer.request(), true); });
    for (int i = 0; i < 50; ++i) {
      TaskCore other(kId, path());
      EXPECT_TRUE(other.call("ping", Json::object()));
    }
  }
  EXPECT_EQ(open_files(), before);
}

}  // namespace
}  // namespace bgtask
