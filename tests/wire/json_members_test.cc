#include "protocol/wire/json_members.h"

#include <gtest/gtest.h>

#include <string>

namespace bgtask::wire {
namespace {

const DecodeLimits kLimits{8, 100};

TEST(JsonMembers, GivesMembersOneByOneAndTheWhole) {
  const std::string text = R"( {"a": 1, "b":{"c":[true,null,-0.5]} ,"ü":"x\"y"} )"
                           "\n";
  auto members = JsonMembers::of(text, kLimits);
  ASSERT_TRUE(members);
  EXPECT_EQ(members->get("a"), 1);
  EXPECT_EQ(members->get("b"), (Json{{"c", {true, nullptr, -0.5}}}));
  EXPECT_EQ(members->get("ü"), "x\"y");
  EXPECT_FALSE(members->find("c"));
  EXPECT_TRUE(members->get("c").is_null());
  EXPECT_EQ(members->document(), Json::parse(text));
}

TEST(JsonMembers, OfTwoWithOneKeyTheLastCounts) {
  EXPECT_EQ(JsonMembers::of(R"({"a":1,"a":2})", kLimits)->get("a"), 2);
}

TEST(JsonMembers, AgreesWithTheParser) {
  const std::string deep(7, '['), deeper(8, '['), end(7, ']'), end_deeper(8, ']');
  std::string many = "{\"a\":[0";
  for (int i = 0; i < 97; ++i)
    many += ",0";
  const std::string texts[] = {"",
                               " ",
                               "{",
                               "}",
                               "{}",
                               "[]",
                               "1",
                               "{} x",
                               "{}{}",
                               "{\"a\"}",
                               "{\"a\":}",
                               "{\"a\":1,}",
                               "{,}",
                               "{\"a\" 1}",
                               "{a:1}",
                               "{\"a\":1",
                               "{\"a\":[1,]}",
                               "{\"a\":[1 2]}",
                               "{\"a\":[}",
                               "{\"a\":[1}",
                               "{\"a\":tru}",
                               "{\"a\":trueish}",
                               "{\"a\":nul",
                               "{\"a\":01}",
                               "{\"a\":-}",
                               "{\"a\":1.}",
                               "{\"a\":.5}",
                               "{\"a\":-0}",
                               "{\"a\":0.5}",
                               "{\"a\":1e3}",
                               "{\"a\":1E+}",
                               "{\"a\":1e999}",
                               "{\"a\":123456789012345678901234567890}",
                               "{\"a\":+1}",
                               "{\"a\":\"\t\"}",
                               "{\"a\":\"\\u00e4\"}",
                               "{\"a\":\"\\ud800\"}",
                               "{\"a\":\"\\x\"}",
                               "{\"a\":\"\\",
                               "{\"a\":\"\xff\"}",
                               "{\"\xff\":1}",
                               "{\"a\":\"\xc3\xbc\"}",
                               "{\"\\n\":1}",
                               "{\"\\u0061\":1}",
                               "{\"a\":\"x",
                               "{\"a\" : 1 ,\r\n\t\"b\":2}",
                               "{\"a\":/**/1}",
                               "\xef\xbb\xbf{\"a\":1}",
                               "{\"a\":1}\0x",
                               "{\"a\":" + deep + end + "}",
                               "{\"a\":" + deeper + end_deeper + "}",
                               many + "]}",
                               many + ",0]}",
                               std::string("{\"a\":\0}", 7),
                               std::string("{\"a\":1}\0", 8)};
  for (const std::string& text : texts) {
    const auto whole = decode_json(text, kLimits);
    const auto members = JsonMembers::of(text, kLimits);
    const bool object = whole && whole->is_object();
    ASSERT_EQ(members.has_value(), object) << text;
    if (!object) {
      EXPECT_EQ(members.error().code, whole ? ErrorCode::kParseError : whole.error().code) << text;
      continue;
    }
    EXPECT_EQ(members->document(), *whole) << text;
    for (const auto& [key, value] : whole->items())
      EXPECT_EQ(members->get(key), value) << text;
  }
}

}  // namespace
}  // namespace bgtask::wire
