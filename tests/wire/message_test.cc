#include "protocol/wire/message.h"

#include <gtest/gtest.h>

#include "protocol/wire/codec.h"
#include "protocol/wire/encoded_result.h"

namespace bgtask::wire {
namespace {

TEST(Request, IdsComeInThreeKinds) {
  for (const Json& id : {Json(7), Json("seven"), Json(nullptr), Json(-1)}) {
    Json document{{"jsonrpc", "2.0"}, {"id", id}, {"method", "ping"}};
    auto request = parse_request(document).value();
    EXPECT_EQ(request.id, id);
    EXPECT_TRUE(request.expects_reply);
    EXPECT_TRUE(request.params.is_object());
  }
}

TEST(Request, WithoutIdExpectsNoReply) {
  Json document{{"jsonrpc", "2.0"}, {"method", "ping"}};
  EXPECT_FALSE(parse_request(document).value().expects_reply);
}

TEST(Request, MalformedOnesAreRefused) {
  const Json bad[] = {Json::array(),
                      Json::array({Json{{"jsonrpc", "2.0"}, {"id", 1}, {"method", "ping"}}}),
                      Json(1),
                      Json::object(),
                      Json{{"jsonrpc", "1.0"}, {"id", 1}, {"method", "ping"}},
                      Json{{"jsonrpc", "2.0"}, {"id", 1}},
                      Json{{"jsonrpc", "2.0"}, {"id", 1}, {"method", 5}},
                      Json{{"jsonrpc", "2.0"}, {"id", 1.5}, {"method", "ping"}},
                      Json{{"jsonrpc", "2.0"}, {"id", true}, {"method", "ping"}},
                      Json{{"jsonrpc", "2.0"}, {"id", "\xff"}, {"method", "ping"}},
                      Json{{"jsonrpc", "2.0"}, {"id", Json::object()}, {"method", "ping"}},
                      Json{{"jsonrpc", "2.0"}, {"id", std::string(257, 'i')}, {"method", "ping"}},
                      Json{{"jsonrpc", "2.0"}, {"id", 1}, {"method", "ping"}, {"extra", 1}},
                      Json{{"jsonrpc", "2.0"}, {"id", 1}, {"method", "ping"}, {"params", nullptr}},
                      Json{{"jsonrpc", "2.0"}, {"id", 1}, {"method", "ping"}, {"params", {1, 2}}}};
  for (const Json& document : bad) {
    Json taken = document;
    auto request = parse_request(taken);
    ASSERT_FALSE(request) << document;
    EXPECT_EQ(request.error().code, ErrorCode::kInvalidRequest) << document;
    EXPECT_EQ(taken, document) << "its id is still there";
  }
}

TEST(Request, IdOfAnInvalidOneIsItsOwnWhereItCanBeRead) {
  for (const Json& id : {Json(7), Json(-1), Json("seven"), Json(std::string(256, 'i')), Json(nullptr)}) {
    EXPECT_EQ(id_of({{"id", id}, {"params", {1, 2}}}), id);
  }
  for (const Json& id : {Json(1.5), Json(true), Json("\xff"), Json(std::string(257, 'i')), Json::object()}) {
    EXPECT_EQ(id_of({{"jsonrpc", "2.0"}, {"id", id}}), nullptr);
  }
  for (const Json& document : {Json(), Json(7), Json::array({{{"id", 1}}}), Json::object()})
    EXPECT_EQ(id_of(document), nullptr);
}

TEST(Reply, ResultAndErrorComeBack) {
  EXPECT_EQ(parse_reply(make_reply(1, "pong")).value(), "pong");
  EXPECT_EQ(parse_reply(make_reply(1, nullptr)).value(), nullptr);
  Failure failure{ErrorCode::kLocked, "it is locked", 11, Json{{"holder", 5}}};
  auto reply = parse_reply(make_error(1, failure));
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, ErrorCode::kLocked);
  EXPECT_EQ(reply.error().message, "it is locked");
  EXPECT_EQ(reply.error().os_error, 11);
  EXPECT_EQ(reply.error().data["holder"], 5);
}

TEST(Reply, OneResultGoesToManyInEitherEncoding) {
  const Json result{{"fired", "output"}, {"next", 70'000}, {"status", {{"reason", nullptr}}}};
  EncodedResult encoded(result);
  for (const Json& id : {Json(1), Json(1u << 31), Json("näme"), Json(nullptr)}) {
    const Json expected = make_reply(id, result);
    EXPECT_EQ(encoded.reply(id, Encoding::kJson), encode_frame(expected, Encoding::kJson));
    EXPECT_EQ(encoded.reply(id, Encoding::kMsgpack), encode_frame(expected, Encoding::kMsgpack));
  }
}

TEST(Reply, UnknownWordsSurvive) {
  auto reply = parse_reply(
      {{"id", 1}, {"error", {{"code", -32000}, {"message", "m"}, {"data", {{"error", "new_word"}}}}}});
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().data["error"], "new_word");
}

TEST(Reply, NonsenseIsAnErrorToo) {
  for (const Json& document : {Json(1), Json::array(), Json::object(), Json{{"error", "text"}}}) {
    EXPECT_FALSE(parse_reply(document)) << document;
  }
}

}  // namespace
}  // namespace bgtask::wire
