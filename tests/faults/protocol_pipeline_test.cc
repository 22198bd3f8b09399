// Thousands of requests whose replies are not read.
#include <poll.h>
#include <sys/socket.h>

#include "tests/faults/protocol_fixture.h"

namespace bgtask::faults {
namespace {

class ProtocolPipeline : public ProtocolFaultTest, public testing::WithParamInterface<Encoding> {
 protected:
  /// Sends until the supervisor takes no more; returns the number of bytes.
  static size_t send_what_is_taken(const RawClient& client, std::string_view bytes) {
    size_t sent = 0;
    while (sent < bytes.size()) {
      const ssize_t n =
          ::send(client.fd(), bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (n > 0) {
        sent += static_cast<size_t>(n);
        continue;
      }
      if (errno != EAGAIN) break;
      pollfd poller{client.fd(), POLLOUT, 0};
      if (::poll(&poller, 1, 200) == 0) break;
    }
    return sent;
  }
};

INSTANTIATE_TEST_SUITE_P(Encodings, ProtocolPipeline, testing::ValuesIn(kEncodings),
                         [](const auto& test) { return e2e::encoding_name(test.param); });

TEST_P(ProtocolPipeline, G3_G9_IsPausedServedInOrderWhenReadAndHarmsNobody) {
  constexpr int kRequests = 20'000;
  std::string bytes;
  std::vector<size_t> ends;
  for (int i = 0; i < kRequests; ++i) {
    bytes += request_text(GetParam(), i % 2 == 0 ? "methods" : "ping", Json::object(), i);
    ends.push_back(bytes.size());
  }
  const auto greedy = connect(GetParam());
  const size_t sent = send_what_is_taken(*greedy, bytes);
  EXPECT_LT(sent, bytes.size()) << "it is not read on without end";
  EXPECT_GT(sent, 100u * 50);
  ASSERT_NO_FATAL_FAILURE(expect_served());
  expect_memory_below(8);
  // Once the client reads, every request is answered in order and none is lost.
  const auto whole = static_cast<int>(std::upper_bound(ends.begin(), ends.end(), sent) - ends.begin());
  const size_t cut = whole == 0 ? 0 : ends[static_cast<size_t>(whole) - 1];
  for (int i = 0; i < whole; ++i) {
    const auto reply = greedy->receive();
    ASSERT_TRUE(reply.has_value()) << i;
    ASSERT_EQ((*reply)["id"], i);
    ASSERT_TRUE(reply->contains("result")) << *reply;
  }
  // The cut-off frame is completed, and the connection works normally.
  ASSERT_TRUE(greedy->send(bytes.substr(sent, ends[static_cast<size_t>(whole)] - sent)));
  ASSERT_GE(sent, cut);
  EXPECT_EQ(greedy->receive().value_or(Json::object())["id"], whole);
  EXPECT_EQ(greedy->result("ping"), "pong");
}

// A client that writes its requests with blocking writes and reads afterwards: the supervisor takes them as
// long as less than a mebibyte of replies waits.
TEST_P(ProtocolPipeline, G3_G9_IsNotHeldUpBeforeAMebibyteOfUnreadReplies) {
  constexpr size_t kUnread = 1000 * 1024;  // nearly all of 1 MiB
  const std::string id_of_many_bytes(100, 'i');
  const size_t reply_size =
      encode(GetParam(), {{"jsonrpc", "2.0"}, {"id", id_of_many_bytes}, {"result", "pong"}}).size();
  const std::string ping = request_text(GetParam(), "ping", Json::object(), id_of_many_bytes);
  const auto greedy = connect(GetParam());
  const int count = static_cast<int>(kUnread / reply_size);
  for (int i = 0; i < count; ++i) {
    pollfd poller{greedy->fd(), POLLOUT, 0};
    ASSERT_EQ(::poll(&poller, 1, 20'000), 1) << "it is held up after " << i << " of " << count << " requests";
    ASSERT_EQ(::send(greedy->fd(), ping.data(), ping.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(ping.size()));
  }
  ASSERT_NO_FATAL_FAILURE(expect_served());
  for (int i = 0; i < count; ++i) {
    const auto reply = greedy->receive();
    ASSERT_TRUE(reply.has_value()) << i;
    ASSERT_EQ((*reply)["result"], "pong") << *reply;
  }
  EXPECT_EQ(greedy->result("ping"), "pong");
}

TEST_P(ProtocolPipeline, G3_G9_SixtyOfThemTogetherTakeLittleAndKeepNobodyWaiting) {
  std::string bytes;
  for (int i = 0; i < 2'000; ++i)
    bytes += request_text(GetParam(), "methods", Json::object(), i);
  {
    std::vector<std::unique_ptr<RawClient>> greedy;
    for (int i = 0; i < 60; ++i) {
      greedy.push_back(connect(GetParam()));
      // What the socket takes at once; the supervisor fetches it meanwhile.
      static_cast<void>(::send(greedy.back()->fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT));
    }
    for (int round = 0; round < 3; ++round) {
      for (auto& one : greedy)
        static_cast<void>(::send(one->fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT));
      ASSERT_NO_FATAL_FAILURE(expect_served());
    }
    // 8 MiB of replies of all, then 64 KiB of each, and 64 KiB of requests that were fetched with the first.
    expect_memory_below(60 / 4);
  }
  ASSERT_NO_FATAL_FAILURE(expect_served());
  expect_nothing_left();
}

}  // namespace
}  // namespace bgtask::faults
