#include "protocol/wire/typed.h"

#include <gtest/gtest.h>

#include <cstdint>

namespace bgtask::wire {
namespace {

TEST(Typed, AMemberOfAnotherTypeHasTheDefault) {
  const Json document{{"whole", 5},   {"negative", -5}, {"real", 1.5},
                      {"flag", true}, {"text", "x"},    {"huge", UINT64_MAX}};
  EXPECT_EQ(unsigned_in(document, "whole"), 5u);
  EXPECT_EQ(unsigned_in(document, "huge"), UINT64_MAX);
  for (const char* other : {"negative", "real", "flag", "text", "none"})
    EXPECT_EQ(unsigned_in(document, other, 7), 7u) << other;
  EXPECT_EQ(number_in(document, "real"), 1.5);
  EXPECT_EQ(number_in(document, "text", 2), 2);
  EXPECT_TRUE(flag_in(document, "flag"));
  EXPECT_TRUE(flag_in(document, "whole", true));
  EXPECT_EQ(text_in(document, "text"), "x");
  EXPECT_EQ(text_in(document, "flag"), "");
  for (const Json& no_object : {Json(), Json(1), Json("x"), Json::array({1})})
    EXPECT_TRUE(member_in(no_object, "whole").is_null());
}

TEST(Typed, APidIsAPositiveNumberThatFits) {
  EXPECT_EQ(as_pid(1), 1);
  EXPECT_EQ(as_pid(INT32_MAX), INT32_MAX);
  for (const Json& none :
       {Json(0), Json(-1), Json(int64_t{INT32_MAX} + 1), Json(UINT64_MAX), Json(1.0), Json("1"), Json()})
    EXPECT_FALSE(as_pid(none)) << none;
}

}  // namespace
}  // namespace bgtask::wire
