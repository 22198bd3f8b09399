#include "client/src/session.h"

#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "protocol/wire/message.h"

namespace bgtask {
namespace {

constexpr std::size_t kMaxFrame = 1 << 20;

std::string encoded(const Json& document) {
  return wire::encode_frame(document, wire::Encoding::kMsgpack);
}

/// A message in words, so that sequences of them can be compared.
std::string described(const SessionMessage& message) {
  if (const auto* reply = std::get_if<SessionReply>(&message)) {
    const std::string id = "reply " + std::to_string(reply->id) + " ";
    return reply->result ? id + reply->result->dump() : id + std::string(word(reply->result.error().code));
  }
  if (const auto* event = std::get_if<SessionEvent>(&message)) return "event " + event->params.dump();
  if (const auto* refusal = std::get_if<SessionRefusal>(&message)) {
    return "refusal " + std::string(word(refusal->failure.code));
  }
  return "broken " + std::string(word(std::get<SessionBroken>(message).failure.code));
}

std::vector<std::string> all_messages(ClientSession& session) {
  std::vector<std::string> messages;
  while (const std::optional<SessionMessage> message = session.next())
    messages.push_back(described(*message));
  return messages;
}

std::vector<std::string> messages_of(const std::string& bytes) {
  ClientSession session(kMaxFrame);
  session.received(bytes);
  return all_messages(session);
}

std::string unsent_bytes(const ClientSession& session) {
  const auto [head, data] = session.unsent();
  return std::string(head) + std::string(data);
}

Json decoded(const std::string& bytes) {
  return wire::decode_msgpack(bytes, wire::reply_limits()).value();
}

using Messages = std::vector<std::string>;

struct Case {
  const char* name;
  std::string bytes;
  Messages expected;
};

const Json kError{{"code", -32000}, {"message", "no"}, {"data", {{"error", "busy"}}}};

TEST(SessionTest, MessagesAreToldApartByTheirMembers) {
  const Case cases[] = {
      {"a result", encoded(wire::make_reply(7, {{"next", 3}})), {"reply 7 {\"next\":3}"}},
      {"an error", encoded({{"id", 7}, {"error", kError}}), {"reply 7 busy"}},
      {"an event", encoded(wire::make_event({{"event", "exit"}})), {"event {\"event\":\"exit\"}"}},
      {"an event without params", encoded({{"method", "event"}}), {"event {}"}},
      {"an error with id null", encoded({{"id", nullptr}, {"error", kError}}), {"refusal busy"}},
      {"an error without id", encoded({{"error", kError}}), {"refusal busy"}},
      {"an error in JSON",
       "{\"id\":null,\"error\":{\"code\":-32600,\"message\":\"x\"}}\n",
       {"refusal invalid_request"}},
      {"a reply that is neither", encoded({{"id", 7}}), {"reply 7 invalid_request"}},
      {"an id that is a text", encoded({{"id", "7"}, {"result", 1}}), {}},
      {"a result for nobody", encoded({{"id", nullptr}, {"result", 1}, {"error", 1}}), {}},
      {"another notification", encoded({{"method", "news"}, {"params", Json::object()}}), {}},
      {"no object", encoded({{"id", 1}, {"result", 1}}) + encoded(Json::array({1})), {"reply 1 1"}},
      {"no protocol", "HTTP/1.1 400 Bad Request\r\n\r\n", {"broken parse_error"}},
      {"malformed msgpack", encoded({{"method", "event"}}) + "\xc1", {"event {}", "broken parse_error"}},
      {"one too deep", "\x81\xa1x" + std::string(5000, '\x91'), {"broken too_deep"}},
      {"one too long", std::string("\x81\xa1x\xc6\x7f\xff\xff\xff", 8), {"broken frame_too_large"}},
  };
  for (const Case& c : cases)
    EXPECT_EQ(messages_of(c.bytes), c.expected) << c.name;
}

TEST(SessionTest, NothingIsGivenAfterBrokenBytes) {
  ClientSession session(kMaxFrame);
  session.received("not a message\n{\"method\":\"event\"}\n");
  EXPECT_EQ(all_messages(session), Messages{"broken parse_error"});
  session.received(encoded(wire::make_event({})));
  EXPECT_EQ(all_messages(session), Messages{});
}

TEST(SessionTest, RequestsAreNumberedAndSentInOrder) {
  ClientSession session(kMaxFrame);
  EXPECT_FALSE(session.has_unsent());
  Json params{{"signal", "TERM"}};
  EXPECT_EQ(session.request("kill", params), 1);
  EXPECT_EQ(params, (Json{{"signal", "TERM"}})) << "given back";
  const Json first = decoded(unsent_bytes(session));
  EXPECT_EQ(first["id"], 1);
  EXPECT_EQ(first["method"], "kill");
  EXPECT_EQ(first["params"], params);
  const std::size_t length = unsent_bytes(session).size();

  Json nothing = Json::object();
  EXPECT_EQ(session.request("ping", nothing), 2);
  session.sent(length);
  EXPECT_EQ(decoded(unsent_bytes(session))["id"], 2);
  session.sent(unsent_bytes(session).size());
  EXPECT_FALSE(session.has_unsent());
}

TEST(SessionTest, DataOfARequestIsSentFromWhereItLies) {
  ClientSession session(kMaxFrame);
  const std::string data(100'000, 'x');
  session.request("write", {{"stream", "stdin"}}, "data", data);
  EXPECT_EQ(session.unsent()[1].data(), data.data());
  const Json request = decoded(unsent_bytes(session));
  EXPECT_EQ(request["params"]["data"].get_binary().size(), data.size());

  const std::string whole = unsent_bytes(session);
  std::mt19937 random(1);
  std::string sent;
  while (session.has_unsent()) {
    const std::string left = unsent_bytes(session);
    const std::size_t size = std::min<std::size_t>(left.size(), random() % 40'000);
    sent += left.substr(0, size);
    session.sent(size);
  }
  EXPECT_TRUE(sent == whole);
}

TEST(SessionTest, ARequestAfterUnsentDataFollowsIt) {
  ClientSession session(kMaxFrame);
  auto data = std::make_unique<std::string>("borrowed");
  session.request("write", Json::object(), "data", *data);
  Json nothing = Json::object();
  session.request("ping", nothing);
  data.reset();
  wire::Framer supervisor(kMaxFrame, wire::request_limits());
  supervisor.feed(unsent_bytes(session));
  const Json write = supervisor.next()->value();
  EXPECT_EQ(wire::bytes_of(write["params"]["data"]), "borrowed");
  EXPECT_EQ(supervisor.next()->value()["method"], "ping");
}

TEST(SessionTest, NothingIsLeftToSendAfterThePeerHasClosed) {
  ClientSession session(kMaxFrame);
  session.request("write", Json::object(), "data", "some");
  session.drop_unsent();
  EXPECT_FALSE(session.has_unsent());
  session.received(encoded(wire::make_reply(1, true)));
  EXPECT_EQ(all_messages(session), Messages{"reply 1 true"}) << "what it said before is still given";
}

TEST(SessionTest, HowBytesAreCutMakesNoDifference) {
  const std::string bytes =
      encoded(wire::make_event({{"event", "output"}, {"data", std::string(20'000, 'x')}})) +
      encoded(wire::make_reply(1, {{"next", 9}})) + encoded(Json::array()) +
      encoded({{"id", 2}, {"error", kError}}) +
      encoded(wire::make_event({{"data", Json::binary({0, 255, 128})}})) +
      encoded({{"id", nullptr}, {"error", kError}});
  const Messages expected = messages_of(bytes);
  ASSERT_EQ(expected.size(), 5u);
  for (unsigned seed = 0; seed < 300; ++seed) {
    std::mt19937 random(seed);
    const std::size_t longest = seed % 3 == 0 ? 3 : seed % 3 == 1 ? 200 : 30'000;
    ClientSession session(kMaxFrame);
    Messages messages;
    for (std::string_view left = bytes; !left.empty();) {
      const std::size_t size = std::min<std::size_t>(left.size(), 1 + random() % longest);
      session.received(left.substr(0, size));
      left.remove_prefix(size);
      for (std::string& message : all_messages(session))
        messages.push_back(std::move(message));
      EXPECT_TRUE(!left.empty() || !session.in_message());
    }
    ASSERT_EQ(messages, expected) << "seed " << seed;
  }
}

TEST(SessionTest, RandomBytesBreakItAtMostOnce) {
  for (unsigned seed = 0; seed < 500; ++seed) {
    std::mt19937 random(seed);
    ClientSession session(kMaxFrame);
    int broken = 0;
    for (int piece = 0; piece < 20; ++piece) {
      std::string bytes(1 + random() % 100, '\0');
      for (char& byte : bytes)
        byte = static_cast<char>(random());
      session.received(bytes);
      for (const std::string& message : all_messages(session))
        broken += message.starts_with("broken") ? 1 : 0;
    }
    ASSERT_LE(broken, 1) << "seed " << seed;
  }
}

}  // namespace
}  // namespace bgtask
