// Any bytes on a socket: a typed error or a close; the supervisor is unharmed, its memory bounded, others are
// served.
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <random>

#include "tests/e2e/fixture.h"
#include "tests/e2e/sanitizer.h"

namespace bgtask::e2e {
namespace {

constexpr int64_t kSlackKib = kUnderAsan ? 192 * 1024 : 8 * 1024;  // with the quarantine of a sanitizer

class AbuseTest : public E2eTest {
 protected:
  void SetUp() override {
    E2eTest::SetUp();
    task_.emplace(awkward({"puppet"}));
    other_ = std::make_unique<RawClient>(socket_of(*task_));
    ASSERT_EQ(other_->result("ping"), "pong");
    child_ = other_->result("info")["child_pid"];
    peak_ = process_number(task_->pid(), "VmHWM");
  }
  void TearDown() override {
    if (task_) {
      expect_unharmed();
      other_.reset();
      task_.reset();
    }
    E2eTest::TearDown();
  }
  void expect_unharmed() {
    EXPECT_EQ(other_->result("ping"), "pong") << "another client is served";
    EXPECT_LE(process_number(task_->pid(), "VmHWM"), peak_ + kSlackKib) << "memory is bounded";
    EXPECT_EQ(other_->result("info")["child_pid"], child_);
  }
  std::unique_ptr<RawClient> client(Encoding encoding = Encoding::kJson) {
    return std::make_unique<RawClient>(socket_of(*task_), encoding);
  }
  /// Sends bytes and expects one of these words (or numbers), then the close.
  void expect_cut(Encoding encoding, std::string_view bytes, const std::vector<std::string>& words) {
    auto rude = client(encoding);
    rude->send(bytes);
    const auto reply = rude->receive();
    ASSERT_TRUE(reply.has_value()) << "the error is sent before the close";
    std::string word = error_word(*reply);
    if (word.empty()) word = std::to_string(reply->at("error").at("code").get<int>());  // a standard code
    EXPECT_TRUE(std::find(words.begin(), words.end(), word) != words.end()) << *reply;
    EXPECT_TRUE(rude->closed_by_peer());
    expect_unharmed();
  }
  Task& task() { return *task_; }
  RawClient& other() { return *other_; }

 private:
  std::optional<Task> task_;
  std::unique_ptr<RawClient> other_;
  pid_t child_ = 0;
  int64_t peak_ = 0;
};

constexpr char kPing[] = R"({"jsonrpc":"2.0","id":1,"method":"ping"})";

TEST_F(AbuseTest, ALineOfSixtyFourMebibytes) {
  expect_cut(Encoding::kJson, "{" + std::string(64u << 20, 'a') + "\n", {"frame_too_large"});
  expect_cut(Encoding::kJson,
             R"({"jsonrpc":"2.0","id":1,"method":"write","params":{"stream":0,"data":")" +
                 std::string(64u << 20, 'a') + "\"}}\n",
             {"frame_too_large"});
}

TEST_F(AbuseTest, ARequestOfMoreThanSixtyFourKibibytes) {
  const auto ping_of = [](size_t size) {
    const std::string text = R"({"jsonrpc":"2.0","method":"ping","id":1)";
    return text + std::string(size - text.size() - 1, ' ') + "}\n";
  };
  auto polite = client();
  polite->send(ping_of(65'000));
  EXPECT_EQ(polite->receive().value_or(Json::object())["result"], "pong");
  auto rude = client();
  rude->send(ping_of(70'000));
  EXPECT_EQ(error_word(rude->receive().value_or(Json::object())), "frame_too_large");
}

TEST_F(AbuseTest, AMillionNestedBrackets) {
  const std::string head = R"({"jsonrpc":"2.0","id":1,"method":"ping","params":)";
  const std::string million(1'000'000, '[');
  for (const std::string& text : {head + million + "\n", head + million, std::string(1'000'000, '{') + "\n",
                                  std::string(1'000'000, '[')}) {
    auto rude = client();
    rude->send(text);
    const std::string word = error_word(rude->receive().value_or(Json::object()));
    EXPECT_TRUE(word == "too_deep" || word == "frame_too_large") << word;
  }
  auto small = client();
  small->send(head + std::string(30'000, '[') + std::string(30'000, ']') + "}\n");
  EXPECT_EQ(error_word(small->receive().value_or(Json::object())), "too_deep");
  std::string objects = head;
  for (int i = 0; i < 5000; ++i)
    objects += R"({"a":)";
  objects += "1" + std::string(5000, '}') + "}\n";
  auto nested = client();
  nested->send(objects);
  EXPECT_EQ(error_word(nested->receive().value_or(Json::object())), "too_deep");
}

TEST_F(AbuseTest, MsgpackNestedDeeply) {
  // {"jsonrpc": "2.0", "id": 1, "method": "ping", "params": [[[…
  const std::string head =
      "\x84\xa7jsonrpc\xa3"
      "2.0\xa2id\x01\xa6method\xa4ping\xa6params";
  expect_cut(Encoding::kMsgpack, head + std::string(50'000, '\x91'), {"too_deep", "frame_too_large"});
  expect_cut(Encoding::kMsgpack, head + std::string(1'000'000, '\x91'), {"too_deep", "frame_too_large"});
  std::string maps = head;
  for (int i = 0; i < 10'000; ++i)
    maps +=
        "\x81\xa1"
        "a";
  expect_cut(Encoding::kMsgpack, maps, {"too_deep", "frame_too_large"});
}

TEST_F(AbuseTest, HeadersThatClaimFourBillionElements) {
  const std::string head =
      "\x84\xa7jsonrpc\xa3"
      "2.0\xa2id\x01\xa6method\xa4ping\xa6params";
  const std::string count = "\xff\xff\xff\xff";
  for (const char* tag : {"\xdd", "\xdf", "\xdb", "\xc6", "\xc9"}) {
    expect_cut(Encoding::kMsgpack, head + tag + count, {"frame_too_large", "-32700"});
  }
  expect_cut(Encoding::kMsgpack, "\xdf" + count, {"frame_too_large"});
  expect_cut(Encoding::kMsgpack, head + "\xdd" + count + std::string(100'000, '\xc0'), {"frame_too_large"});
  // Nested headers, each claiming many.
  std::string nested = head;
  for (int i = 0; i < 20; ++i)
    nested += std::string("\xdc\x0f\xff", 3);
  expect_cut(Encoding::kMsgpack, nested + std::string(60'000, '\xc0'), {"frame_too_large"});
}

TEST_F(AbuseTest, TooManyElements) {
  std::string list = "[0";
  for (int i = 0; i < 5000; ++i)
    list += ",0";
  const std::string text = R"({"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":)" + list + "]}}\n";
  auto rude = client();
  rude->send(text);
  EXPECT_EQ(error_word(rude->receive().value_or(Json::object())), "frame_too_large");
}

TEST_F(AbuseTest, MalformedMsgpackIsSaidAndTheConnectionClosed) {
  expect_cut(Encoding::kMsgpack, std::string("\x81\xc1\x01", 3), {"-32700"});
}

TEST_F(AbuseTest, AFirstByteOfNeitherEncoding) {
  for (const std::string& bytes :
       {std::string("GET / HTTP/1.0\r\n\r\n"), std::string("\0\0\0\0", 4), std::string("\xff\xff", 2),
        std::string("[") + kPing + "]\n", std::string("\n\n\n")}) {
    auto rude = client();
    rude->send(bytes);
    rude->half_close();
    while (auto reply = rude->receive())
      EXPECT_TRUE(reply->contains("error")) << *reply;
    EXPECT_TRUE(rude->closed_by_peer());
  }
}

TEST_F(AbuseTest, Garbage) {
  std::mt19937 random(20'240'229);
  for (int round = 0; round < 400; ++round) {
    auto rude = client();
    ASSERT_TRUE(rude->connected()) << round;
    std::string bytes(random() % 3000, '\0');
    for (char& c : bytes)
      c = static_cast<char>(random());
    if (!bytes.empty() && round % 2 == 0) bytes[0] = '{';
    if (!bytes.empty() && round % 4 == 1) bytes[0] = static_cast<char>(0x80 | random() % 16);
    rude->send(bytes);
    rude->half_close();
    ASSERT_TRUE(rude->closed_by_peer()) << "round " << round;
  }
}

TEST_F(AbuseTest, MutatedRequests) {
  std::mt19937 random(4711);
  for (Encoding encoding : {Encoding::kJson, Encoding::kMsgpack}) {
    for (int round = 0; round < 400; ++round) {
      auto rude = client(encoding);
      std::string bytes = rude->encode({{"jsonrpc", "2.0"},
                                        {"id", round},
                                        {"method", "read"},
                                        {"params", {{"stream", "stdout"}, {"offset", 0}, {"count", 10}}}});
      for (int i = 0; i < 3; ++i)
        bytes[random() % bytes.size()] = static_cast<char>(random());
      rude->send(bytes);
      rude->half_close();
      ASSERT_TRUE(rude->closed_by_peer()) << encoding_name(encoding) << round;
    }
  }
}

TEST_F(AbuseTest, AFrameThatDoesNotEndIsCutAfterItsTime) {
  auto slow = client();
  slow->send(R"({"jsonrpc":"2.0",)");
  auto silent = client();  // has begun no frame and may be as slow as it likes
  const auto reply = slow->receive();
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(error_word(*reply), "frame_timeout");
  EXPECT_TRUE(slow->closed_by_peer());
  EXPECT_EQ(silent->result("ping"), "pong");
}

TEST_F(AbuseTest, ManyConnectionsOfOneUserAreRefusedAndThenWelcomeAgain) {
  constexpr size_t kPerUser = 64;
  std::vector<std::unique_ptr<RawClient>> clients;
  size_t refused = 0;
  for (size_t i = 0; i < kPerUser + 20; ++i) {
    auto one = client();
    ASSERT_TRUE(one->connected());
    one->request("ping");
    const auto reply = one->receive();
    if (reply.has_value() && reply->contains("result")) {
      clients.push_back(std::move(one));
    } else {
      ++refused;
      EXPECT_TRUE(!reply.has_value() || error_word(*reply) == "busy") << *reply;
      EXPECT_TRUE(one->closed_by_peer());
    }
  }
  EXPECT_EQ(clients.size() + 1, kPerUser) << "with the one of this test";
  EXPECT_EQ(refused, 21u);
  clients.clear();
  EXPECT_TRUE(eventually([&] {
    auto again = client();
    again->request("ping");
    const auto reply = again->receive();
    return reply.has_value() && reply->contains("result");
  }));
}

TEST_F(AbuseTest, AFollowerThatDoesNotReadIsCutAndSlowsNobody) {
  auto follower = client();
  follower->result("subscribe", {{"events", {"output"}}, {"cursor", 0}});
  for (uint64_t mebibyte = 0; mebibyte < 64; ++mebibyte) {
    task().stream("stdin").write_all("pattern 0 1048576\n");
    ASSERT_TRUE(wait_limit(task(), "stdout", (mebibyte + 1) << 20)) << "the child is not slowed";
  }
  expect_unharmed();
  pollfd poller{follower->fd(), POLLRDHUP, 0};
  EXPECT_GT(poll(&poller, 1, 90'000), 0) << "it is cut";
}

TEST_F(AbuseTest, RepliesNobodyReadsDoNotPileUp) {
  auto rude = client();
  const std::string request = R"({"jsonrpc":"2.0","id":1,"method":"methods"})"
                              "\n";
  std::string many;
  for (int i = 0; i < 20'000; ++i)
    many += request;
  // Without ever reading: until the supervisor takes no more of it, or cuts us.
  std::string_view rest = many;
  for (;;) {
    const ssize_t n = send(rude->fd(), rest.data(), rest.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n > 0) rest.remove_prefix(static_cast<size_t>(n));
    if (rest.empty() || (n < 0 && errno != EAGAIN)) break;
    pollfd poller{rude->fd(), POLLOUT, 0};
    if (n < 0 && poll(&poller, 1, 300) == 0) break;
  }
  expect_unharmed();
}

TEST_F(AbuseTest, ConnectingAndLeavingALotLeavesNothing) {
  const std::string fds = "/proc/" + std::to_string(task().pid()) + "/fd";
  const size_t before = names_in(fds).size();
  for (int i = 0; i < 500; ++i) {
    auto brief = client(i % 2 == 0 ? Encoding::kJson : Encoding::kMsgpack);
    if (i % 3 == 0) brief->request("wait");
    if (i % 3 == 1) brief->request("subscribe", {{"events", {"output", "exit"}}});
  }
  EXPECT_TRUE(eventually([&] { return names_in(fds).size() == before; }));
  EXPECT_TRUE(eventually([&] { return other().result("info")["clients"] == 1; }));
}

}  // namespace
}  // namespace bgtask::e2e
