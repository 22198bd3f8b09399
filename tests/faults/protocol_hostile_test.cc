// Hostile ids and metadata.
#include <nlohmann/json.hpp>

#include "tests/faults/protocol_fixture.h"

namespace bgtask::faults {
namespace {

constexpr size_t kMaxMeta = 256 * 1024;
constexpr size_t kMaxElements = 4096;
constexpr char kNasty[] =
    "\x1b]0;title\x07\x1b[2J\xc2\x9b"
    "31m\xe2\x80\xae\x7f\b\r\n\t\xe2\x81\xa6";

class ProtocolHostile : public ProtocolFaultTest, public testing::WithParamInterface<Encoding> {
 protected:
  Json answer_to(RawClient& client, const Json& request) {
    EXPECT_TRUE(client.send(client.encode(request)));
    return client.receive().value_or(Json("no reply"));
  }
};

INSTANTIATE_TEST_SUITE_P(Encodings, ProtocolHostile, testing::ValuesIn(kEncodings),
                         [](const auto& test) { return e2e::encoding_name(test.param); });

TEST_P(ProtocolHostile, G9_IdsComeBackAsTheyWereOrAreNone) {
  const auto client = connect(GetParam());
  const std::vector<Json> ids = {std::string(256, 'i'),
                                 kNasty,
                                 std::string("\0\0", 2),
                                 std::numeric_limits<int64_t>::min(),
                                 std::numeric_limits<uint64_t>::max(),
                                 "",
                                 "null"};
  for (const Json& id : ids) {
    EXPECT_EQ(answer_to(*client, {{"jsonrpc", "2.0"}, {"id", id}, {"method", "ping"}}),
              (Json{{"jsonrpc", "2.0"}, {"id", id}, {"result", "pong"}}));
    const Json refused = answer_to(*client, {{"jsonrpc", "2.0"}, {"id", id}, {"method", "read"}});
    EXPECT_EQ(refused["id"], id);
    EXPECT_EQ(e2e::error_word(refused), "bad_argument");
  }
  Json nested = Json::array();
  for (int i = 0; i < 25; ++i)
    nested = Json::array({nested});
  std::vector<Json> wrong = {nested, {{"a", 1}}, 1.5, 1e308, -0.0, true, std::string(257, 'i')};
  if (GetParam() == Encoding::kMsgpack) {
    wrong.push_back("\xff\xfe");
    wrong.push_back(Json::binary({1, 2}));
    wrong.push_back(std::numeric_limits<double>::infinity());
  }
  for (const Json& id : wrong) {
    const Json reply = answer_to(*client, {{"jsonrpc", "2.0"}, {"id", id}, {"method", "ping"}});
    ASSERT_TRUE(reply.contains("error")) << reply;
    EXPECT_EQ(reply["error"]["code"], -32600) << reply;
    EXPECT_EQ(reply["id"], nullptr) << reply;
  }
  EXPECT_EQ(client->result("ping"), "pong");
}

TEST_P(ProtocolHostile, G9_WhatIsRefusedIsNotRepeatedRaw) {
  const auto client = connect(GetParam());
  const std::vector<Json> requests = {
      {{"jsonrpc", "2.0"}, {"id", 1}, {"method", kNasty}},
      {{"jsonrpc", "2.0"}, {"id", 1}, {"method", std::string(9'000, '\x1b')}},
      {{"jsonrpc", "2.0"}, {"id", 1}, {"method", "ping"}, {"params", {{kNasty, 1}}}},
      {{"jsonrpc", "2.0"}, {"id", 1}, {"method", "read"}, {"params", {{"stream", kNasty}}}},
      {{"jsonrpc", "2.0"}, {"id", 1}, {"method", "kill"}, {"params", {{"signal", kNasty}}}}};
  for (const Json& request : requests) {
    const Json reply = answer_to(*client, request);
    ASSERT_TRUE(reply.contains("error")) << reply;
    const std::string message = reply["error"]["message"];
    EXPECT_LT(message.size(), 300u);
    for (const char c : message)
      EXPECT_TRUE(c >= ' ' && c <= '~') << reply;
  }
}

TEST_P(ProtocolHostile, G8_G9_MetadataIsTakenUpToItsLastByte) {
  const auto client = connect(GetParam());
  Json expected = client->result("apply_meta", {{"meta", {{"p0", std::string(50'000, 'm')}}}});
  const auto add = [&](const std::string& key, size_t size) {
    return client->call("apply_meta", {{"meta", {{key, std::string(size, 'm')}}}});
  };
  for (const char* key : {"p1", "p2", "p3", "p4"})
    expected = add(key, 50'000)["result"];
  ASSERT_LT(expected.dump().size(), kMaxMeta);
  const size_t room = kMaxMeta - expected.dump().size() - std::string(R"(,"end":"")").size();
  EXPECT_EQ(e2e::error_word(add("end", room + 1)), "bad_argument") << "one byte more than fits";
  EXPECT_EQ(client->result("info")["meta"], expected) << "nothing of it was taken";
  const Json full = add("end", room);
  ASSERT_TRUE(full.contains("result")) << full["error"];
  EXPECT_EQ(full["result"].dump().size(), kMaxMeta);
  const Json refused = add("more", 1);
  EXPECT_EQ(e2e::error_word(refused), "bad_argument");
  EXPECT_EQ(refused["error"]["data"]["parameter"], "meta");
  EXPECT_EQ(task().snapshot()["meta"], full["result"]) << "what is published is what was answered";
  EXPECT_EQ(client->result("apply_meta", {{"meta", {{"p0", nullptr}, {"p1", nullptr}}}}).size(), 5u)
      << "name, p2, p3, p4, end: there is a way back";
}

TEST_P(ProtocolHostile, G9_ElementsAreCountedAlikeInBothEncodings) {
  const auto client = connect(GetParam());
  // The request itself, jsonrpc, id, method, params, meta and the list are seven.
  const auto with = [&](size_t elements) {
    const Json list(std::vector<int>(elements - 7, 0));
    return answer_to(
        *client,
        {{"jsonrpc", "2.0"}, {"id", 1}, {"method", "apply_meta"}, {"params", {{"meta", {{"list", list}}}}}});
  };
  EXPECT_TRUE(with(kMaxElements).contains("result"));
  EXPECT_EQ(e2e::error_word(with(kMaxElements + 1)), "frame_too_large");
}

TEST_P(ProtocolHostile, G9_DepthIsCountedAlikeInBothEncodings) {
  // The request, params and meta are three of the 32 levels.
  const auto with = [&](int depth) {
    Json value = 1;
    for (int i = 3; i < depth; ++i)
      value = i % 2 == 0 ? Json{{"k", value}} : Json::array({value});
    const auto client = connect(GetParam());
    return answer_to(
        *client,
        {{"jsonrpc", "2.0"}, {"id", 1}, {"method", "apply_meta"}, {"params", {{"meta", {{"deep", value}}}}}});
  };
  EXPECT_TRUE(with(32).contains("result")) << with(32);
  EXPECT_EQ(e2e::error_word(with(33)), "too_deep");
  EXPECT_TRUE(e2e::eventually([&] { return task().snapshot()["meta"].contains("deep"); }));
}

using ProtocolHostileMsgpack = ProtocolFaultTest;

TEST_F(ProtocolHostileMsgpack, G9_G10_BytesThatAreNoTextAreValuesAndNeverKeys) {
  const auto client = connect(Encoding::kMsgpack);
  const Json meta =
      client->result("apply_meta", {{"meta", {{"text", "\xff\x1b"}, {"bin", Json::binary({0xfe, 0x1b})}}}});
  EXPECT_EQ(e2e::bytes_of(meta["text"]), "\xff\x1b");
  EXPECT_EQ(e2e::bytes_of(meta["bin"]), "\xfe\x1b");
  // JSON carries them as base64, so that the published document is valid text.
  EXPECT_EQ(polite().result("info")["meta"]["text"], (Json{{"base64", "/xs="}}));
  EXPECT_EQ(Json::parse(e2e::read_whole(directory_of(task()) / "status"))["meta"]["bin"],
            (Json{{"base64", "/hs="}}));
  const auto rude = connect(Encoding::kMsgpack);
  rude->send(request_text(Encoding::kMsgpack, "apply_meta", {{"meta", {{"k\xff", 1}}}}));
  EXPECT_EQ(rude->receive().value_or(Json::object())["error"]["code"], -32700);
  EXPECT_TRUE(rude->closed_by_peer());
  EXPECT_EQ(polite().result("info")["meta"].size(), 3u) << "name, text and bin";
}

}  // namespace
}  // namespace bgtask::faults
