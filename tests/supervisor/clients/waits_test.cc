#include "supervisor/clients/waits.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "protocol/wire/codec.h"

namespace bgtask::supervisor {
namespace {

// A connection with a socket pair's other end in hand, and waits over facts the test sets.
class WaitsTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(loop_.init());
    int fds[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    client_.reset(fds[1]);
    connection_ = std::make_unique<Connection>(
        loop_, io::UniqueFd(fds[0]), Peer{}, unread_,
        Connection::Listener{[](Connection&, wire::Request) {}, [](Connection&) {}, [](Connection&) {}});
    ASSERT_TRUE(connection_->start());
  }
  void TearDown() override { connection_.reset(); }

  void wait(int id, Json params) {
    waits_.add(*connection_, wire::Request{id, true, "wait", Json::object()},
               wire::decode<wire::WaitRequest>(std::move(params)));
  }

  // Replies received so far: [id, fired, next].
  Json replies() {
    char buffer[65536];
    Json list = Json::array();
    ssize_t n = ::recv(client_.get(), buffer, sizeof buffer, MSG_DONTWAIT);
    if (n > 0) framer_.feed({buffer, static_cast<size_t>(n)});
    while (auto frame = framer_.next()) {
      const Json& reply = frame->value();
      if (reply.contains("error")) {
        list.push_back({reply["id"], reply["error"]["data"]["error"]});
      } else {
        list.push_back({reply["id"], reply["result"]["fired"], reply["result"]["next"]});
        with_status_.push_back(reply["result"].contains("status"));
      }
    }
    return list;
  }

  io::Loop loop_;
  io::UniqueFd client_;
  Unread unread_;
  wire::Framer framer_{1 << 20, wire::reply_limits()};
  WaitFacts facts_;
  Json status_;
  std::vector<bool> with_status_;  // of the replies received so far
  std::unique_ptr<Connection> connection_;
  Waits waits_{loop_, [this] { return facts_; }, [this] { return status_; }};
};

TEST_F(WaitsTest, WhatIsTheCaseIsAnsweredAtOnce) {
  facts_ = {true, true, 8};
  wait(1, Json::object());
  wait(2, {{"for", {"output"}}, {"cursor", 3}});
  wait(3, {{"for", {"eof"}}});
  EXPECT_EQ(replies(), (Json{{1, "exit", 8}, {2, "output", 8}, {3, "eof", 8}}));
}

TEST_F(WaitsTest, TheStatusIsLeftOutForThoseWhoDoNotWantIt) {
  wait(1, {{"for", {"exit"}}, {"status", true}});
  wait(2, {{"for", {"exit"}}, {"status", false}});
  wait(3, {{"for", {"exit"}}});
  wait(4, {{"for", {"exit"}}, {"status", false}});
  facts_ = {true, true, 8};
  waits_.check();
  EXPECT_EQ(replies(), (Json{{1, "exit", 8}, {2, "exit", 8}, {3, "exit", 8}, {4, "exit", 8}}));
  EXPECT_EQ(with_status_, (std::vector<bool>{true, false, true, false}));
}

TEST_F(WaitsTest, OthersWaitForTheirEventOnly) {
  facts_ = {false, false, 5};
  wait(1, {{"for", {"exit"}}});
  wait(2, {{"for", {"output"}}, {"cursor", 5}});
  wait(3, {{"for", {"eof"}}});
  EXPECT_EQ(replies(), Json::array());
  facts_.next = 6;
  waits_.check();
  EXPECT_EQ(replies(), (Json{{2, "output", 6}}));
  facts_.exited = true;
  waits_.check();
  EXPECT_EQ(replies(), (Json{{1, "exit", 6}}));
  facts_.all_eof = true;
  waits_.check();
  EXPECT_EQ(replies(), (Json{{3, "eof", 6}}));
}

TEST_F(WaitsTest, OutputThatCanNoLongerComeFiresEof) {
  facts_ = {false, false, 5};
  wait(1, {{"for", {"output"}}, {"cursor", 5}});
  facts_.all_eof = true;
  waits_.check();
  EXPECT_EQ(replies(), (Json{{1, "eof", 5}}));
}

TEST_F(WaitsTest, TimeoutGivesBackTheCursor) {
  facts_ = {false, false, 9};
  wait(1, {{"for", {"exit"}}, {"cursor", 4}, {"timeout", 0}});
  wait(2, {{"for", {"exit"}}, {"cursor", 4}, {"timeout", 0.01}});
  Json all = replies();
  while (all.size() < 2) {
    uv_run(loop_.get(), UV_RUN_ONCE);
    for (const Json& reply : replies())
      all.push_back(reply);
  }
  EXPECT_EQ(all, (Json{{1, "timeout", 4}, {2, "timeout", 4}}));
}

TEST_F(WaitsTest, AForgottenClientIsNotAnswered) {
  wait(1, Json::object());
  waits_.forget(*connection_);
  facts_.exited = true;
  waits_.check();
  EXPECT_EQ(replies(), Json::array());
}

TEST_F(WaitsTest, TooManyOfOneClientAreRefused) {
  for (int i = 0; i < 256; ++i)
    wait(i, Json::object());
  EXPECT_EQ(replies(), Json::array());
  wait(256, Json::object());
  EXPECT_EQ(replies(), (Json{{256, "busy"}}));
}

}  // namespace
}  // namespace bgtask::supervisor
