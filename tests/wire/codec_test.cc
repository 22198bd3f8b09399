#include <gtest/gtest.h>

#include "protocol/wire/codec.h"
#include "protocol/wire/limits.h"
#include "protocol/wire/message.h"

namespace bgtask::wire {
namespace {

std::string all_bytes() {
  std::string all;
  for (int i = 0; i < 256; ++i)
    all.push_back(static_cast<char>(i));
  return all;
}

Json sample() {
  return Json{{"null", nullptr},     {"true", true},
              {"zero", 0},           {"negative", -5},
              {"large", UINT64_MAX}, {"smallest", INT64_MIN},
              {"float", 0.25},       {"text", "gr\xc3\xbc\xc3\x9f\n\"\\"},
              {"list", {1, {2, 3}}}, {"object", {{"a", {{"b", Json::object()}}}}}};
}

TEST(Codec, DocumentsSurviveBothEncodings) {
  EXPECT_EQ(decode_json(encode_json(sample()), request_limits()).value(), sample());
  EXPECT_EQ(decode_msgpack(encode_msgpack(sample()), request_limits()).value(), sample());
}

TEST(Codec, FloatingNumbersStayWhatTheyAre) {
  for (double number : {1.0, -0.0, 0.1, 1e300, -1e300, 5e-324}) {
    const Json decoded = decode_msgpack(encode_msgpack(Json{{"n", number}}), request_limits()).value()["n"];
    EXPECT_TRUE(decoded.is_number_float()) << number;
    EXPECT_EQ(decoded.get<double>(), number);
  }
}

TEST(Codec, BytesSurviveBothEncodings) {
  for (const std::string& bytes :
       {all_bytes(), std::string("text"), std::string(), std::string("a\0b", 3), std::string("\xff")}) {
    Json document{{"data", text_value(bytes)}};
    EXPECT_EQ(bytes_of(decode_json(encode_json(document), request_limits()).value()["data"]), bytes);
    EXPECT_EQ(bytes_of(decode_msgpack(encode_msgpack(document), request_limits()).value()["data"]), bytes);
  }
}

TEST(Codec, MsgpackCarriesBytesAsBinWhateverTheyHold) {
  for (const std::string& bytes : {std::string("text"), std::string(), std::string("\xff\x00", 2)}) {
    std::string expected = "\xc4";
    expected += static_cast<char>(bytes.size());
    EXPECT_EQ(encode_msgpack(binary_value(bytes)), expected + bytes);
    EXPECT_EQ(encode_frame(Json{{"data", binary_value(bytes)}}, Encoding::kMsgpack),
              "\x81\xa4"
              "data" +
                  expected + bytes);
  }
}

TEST(Codec, EncodingWhatIsGivenAwayIsTheSame) {
  const Json document{{"data", binary_value("t\xc3\xa4xt")}, {"list", {binary_value("\xff"), 1, "s"}}};
  EXPECT_EQ(encode_frame(document, Encoding::kJson), encode_frame(Json(document), Encoding::kJson));
  EXPECT_EQ(encode_frame(document, Encoding::kMsgpack), encode_frame(Json(document), Encoding::kMsgpack));
}

TEST(Codec, JsonCarriesTextAsStringAndOtherBytesAsBase64) {
  EXPECT_EQ(encode_json({{"d", text_value("hi")}}), R"({"d":"hi"})");
  EXPECT_EQ(encode_json({{"d", binary_value("hi")}}), R"({"d":"hi"})");
  EXPECT_EQ(encode_json({{"d", binary_value("")}}), R"({"d":""})");
  EXPECT_EQ(encode_json({{"d", text_value("\xff")}}), R"({"d":{"base64":"/w=="}})");
  // A string that is not text must not make the encoder fail, however it came to be one.
  EXPECT_EQ(encode_json({{"d", std::string("\xff")}}), R"({"d":{"base64":"/w=="}})");
}

TEST(Codec, BytesMayComeInEveryForm) {
  EXPECT_EQ(bytes_of(Json("abc")), "abc");
  EXPECT_EQ(bytes_of(Json::binary({1, 2})), std::string("\1\2"));
  EXPECT_EQ(bytes_of(Json{{"base64", "YWJj"}}), "abc");
  for (const Json& bad : {Json(1), Json(nullptr), Json::array(), Json::object(), Json{{"base64", 1}},
                          Json{{"base64", "*"}}, Json{{"base64", "YWJj"}, {"more", 1}}}) {
    EXPECT_FALSE(bytes_of(bad).has_value()) << bad;
  }
}

TEST(Codec, DepthIsLimited) {
  auto nested = [](size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_TRUE(decode_json(nested(kMaxDepth), request_limits()));
  EXPECT_EQ(decode_json(nested(kMaxDepth + 1), request_limits()).error().code, ErrorCode::kTooDeep);
  EXPECT_EQ(decode_json(std::string(1'000'000, '['), request_limits()).error().code, ErrorCode::kTooDeep);
  EXPECT_EQ(decode_msgpack(std::string(1'000'000, '\x91'), request_limits()).error().code,
            ErrorCode::kTooDeep);
}

TEST(Codec, ElementsAreLimited) {
  Json list = Json::array();
  for (size_t i = 0; i + 1 < kMaxElements; ++i)
    list.push_back(0);
  EXPECT_TRUE(decode_json(encode_json(list), request_limits()));
  EXPECT_TRUE(decode_msgpack(encode_msgpack(list), request_limits()));
  list.push_back(0);
  EXPECT_EQ(decode_json(encode_json(list), request_limits()).error().code, ErrorCode::kFrameTooLarge);
  EXPECT_EQ(decode_msgpack(encode_msgpack(list), request_limits()).error().code, ErrorCode::kFrameTooLarge);
}

TEST(Codec, HeadersThatLieAreRefused) {
  const std::string lies[] = {std::string("\xdd\xff\xff\xff\xff", 5), std::string("\xdf\xff\xff\xff\xff", 5),
                              std::string("\xc6\xff\xff\xff\xff", 5), std::string("\xdb\xff\xff\xff\xff", 5)};
  for (const std::string& lie : lies) {
    auto decoded = decode_msgpack(lie, request_limits());
    ASSERT_FALSE(decoded);
    EXPECT_EQ(decoded.error().code, ErrorCode::kFrameTooLarge);
  }
}

TEST(Codec, MsgpackExtensionsAndOtherKeysAreRefused) {
  EXPECT_FALSE(decode_msgpack(std::string("\xd4\x01\x00", 3), request_limits()));      // fixext 1
  EXPECT_FALSE(decode_msgpack(std::string("\x81\x01\x02", 3), request_limits()));      // {1: 2}
  EXPECT_FALSE(decode_msgpack(std::string("\x81\xa1\xff\x02", 4), request_limits()));  // no UTF-8
  EXPECT_FALSE(decode_msgpack(std::string("\x01\x02", 2), request_limits()));          // two objects
  EXPECT_FALSE(decode_msgpack(std::string("\x92\x01", 2), request_limits()));          // cut short
}

TEST(Codec, ARequestWhoseBytesFollowIsOneMessage) {
  const std::string bytes(70'000, '\xff');
  const Json params{{"stream", "stdin"}, {"follows", true}};
  const auto decoded =
      decode_msgpack(encode_request_head(7, "write", params, "data", bytes.size()) + bytes, reply_limits());
  ASSERT_TRUE(decoded);
  Json whole = params;
  whole["data"] = binary_value(bytes);
  EXPECT_EQ(*decoded, make_request(7, "write", whole));
}

TEST(Codec, TheLastOfTwoMembersWithTheSameKeyCounts) {
  EXPECT_EQ(*decode_msgpack("\x82\xa1k\x01\xa1k\x02", request_limits()), (Json{{"k", 2}}));
}

TEST(Codec, NotJson) {
  for (const char* bad : {"", "{", "{\"a\":}", "nul", "{} {}", "\"\xff\"", "01"}) {
    auto decoded = decode_json(bad, request_limits());
    ASSERT_FALSE(decoded) << bad;
    EXPECT_EQ(decoded.error().code, ErrorCode::kParseError) << bad;
  }
}

}  // namespace
}  // namespace bgtask::wire
