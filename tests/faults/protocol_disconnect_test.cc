// Clients that disconnect in the middle of a request or of a reply.
#include <poll.h>
#include <sys/socket.h>

#include "tests/faults/protocol_fixture.h"

namespace bgtask::faults {
namespace {

class ProtocolDisconnect : public ProtocolFaultTest, public testing::WithParamInterface<Encoding> {};

INSTANTIATE_TEST_SUITE_P(Encodings, ProtocolDisconnect, testing::ValuesIn(kEncodings),
                         [](const auto& test) { return e2e::encoding_name(test.param); });

TEST_P(ProtocolDisconnect, G3_G9_AfterEveryByteOfARequest) {
  std::vector<std::string> requests;
  for (const Sample& sample : harmless_requests(GetParam()))
    requests.push_back(request_text(GetParam(), sample.method, sample.params));
  // These two as they would work: all but the last byte of them must do nothing.
  requests.push_back(request_text(GetParam(), "delete", {{"grace", 0}}));
  requests.push_back(request_text(GetParam(), "kill", Json::object()));
  for (const std::string& request : requests) {
    for (size_t size = 0; size < request.size(); ++size) {
      const auto rude = connect(GetParam());
      ASSERT_TRUE(rude->connected()) << size << " bytes of " << request;
      ASSERT_TRUE(rude->send(request.substr(0, size)));
      if (size % 2 == 0) rude->half_close();
    }
    ASSERT_NO_FATAL_FAILURE(expect_served()) << request;
  }
  expect_memory_below(4);
  expect_nothing_left();
}

class ProtocolDisconnectReply : public ProtocolDisconnect {
 protected:
  std::vector<std::string> command() const override { return awkward_command({"puppet"}); }
  void SetUp() override {
    ProtocolDisconnect::SetUp();
    task().stream("stdin").write_all("pattern 0 600000\ndata a message\nerr some errors\n");
    ASSERT_TRUE(wait_limit(task(), "stderr", 12));
    task().disconnect();
  }
  /// A client with a tiny socket buffer, so that a reply comes in many parts.
  std::unique_ptr<RawClient> small_client() const {
    auto client = connect(GetParam());
    const int smallest = 1;
    ::setsockopt(client->fd(), SOL_SOCKET, SO_RCVBUF, &smallest, sizeof smallest);
    return client;
  }
  /// Receives up to this many bytes; fewer if no more come.
  static size_t take(const RawClient& client, size_t size, int patience_ms = 100) {
    std::vector<char> buffer(size);
    size_t taken = 0;
    while (taken < size) {
      pollfd poller{client.fd(), POLLIN, 0};
      if (::poll(&poller, 1, taken == 0 ? 10'000 : patience_ms) <= 0) break;
      const ssize_t n = ::recv(client.fd(), buffer.data(), size - taken, MSG_DONTWAIT);
      if (n <= 0) break;
      taken += static_cast<size_t>(n);
    }
    return taken;
  }
};

INSTANTIATE_TEST_SUITE_P(Encodings, ProtocolDisconnectReply, testing::ValuesIn(kEncodings),
                         [](const auto& test) { return e2e::encoding_name(test.param); });

TEST_P(ProtocolDisconnectReply, G3_G9_InTheMiddleOfEveryKindOfReply) {
  std::vector<Sample> requests = harmless_requests(GetParam());
  // The largest replies there are, and events.
  requests.push_back({"read", {{"stream", "stdout"}, {"offset", 0}, {"peek", true}}});
  requests.push_back({"output", {{"cursor", 0}}});
  requests.push_back({"write", {{"stream", 0}, {"data", "err more\n"}}});
  requests.push_back({"subscribe", {{"events", {"output", "stream"}}, {"cursor", 0}}});
  for (const Sample& sample : requests) {
    const bool ends_puppet =
        sample.method == "close" || (sample.method == "write" && sample.params["data"] != "err more\n");
    if (ends_puppet) continue;
    const std::string request = request_text(GetParam(), sample.method, sample.params);
    for (const size_t size :
         {size_t{0}, size_t{1}, size_t{17}, size_t{100}, size_t{5'000}, size_t{70'000}, size_t{300'000}}) {
      const auto rude = small_client();
      ASSERT_TRUE(rude->send(request));
      rude->half_close();
      const size_t taken = take(*rude, size);
      ASSERT_TRUE(size == 0 || taken > 0) << request;
      if (taken < size) break;  // the reply is not that long
    }
    ASSERT_NO_FATAL_FAILURE(expect_served()) << request;
  }
  expect_memory_below(8);
  expect_nothing_left();
}

TEST_P(ProtocolDisconnectReply, G3_G9_WhileEventsAreOnTheirWay) {
  for (int round = 0; round < scaled(30, 1'000); ++round) {
    std::vector<std::unique_ptr<RawClient>> followers;
    for (int i = 0; i < 5; ++i) {
      followers.push_back(small_client());
      followers.back()->send(
          request_text(GetParam(), "subscribe", {{"events", {"output", "meta"}}, {"cursor", 0}}));
      followers.back()->send(request_text(GetParam(), "wait", {{"for", {"exit"}}}));
    }
    polite().result("apply_meta", {{"meta", {{"round", round}}}});
    for (size_t i = 0; i < followers.size(); ++i)
      EXPECT_EQ(take(*followers[i], 1 + 1'000 * i, 10'000), 1 + 1'000 * i);
  }
  ASSERT_NO_FATAL_FAILURE(expect_served());
  expect_memory_below(16);
  expect_nothing_left();
}

}  // namespace
}  // namespace bgtask::faults
