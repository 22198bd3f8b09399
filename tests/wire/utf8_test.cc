#include "protocol/wire/utf8.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "protocol/wire/codec.h"

namespace bgtask::wire {
namespace {

TEST(Utf8, DecodesOneCodePointAtATime) {
  struct Case {
    std::string_view text;
    Decoded state;
    uint32_t value;
    size_t length;
  };
  const Case cases[] = {
      {"a", Decoded::kValid, 'a', 1},
      {std::string_view("\0", 1), Decoded::kValid, 0, 1},
      {"\xc2\x80", Decoded::kValid, 0x80, 2},
      {"\xdf\xbfx", Decoded::kValid, 0x7ff, 2},
      {"\xe0\xa0\x80", Decoded::kValid, 0x800, 3},
      {"\xed\x9f\xbf", Decoded::kValid, 0xd7ff, 3},
      {"\xf0\x90\x80\x80", Decoded::kValid, 0x10000, 4},
      {"\xf4\x8f\xbf\xbf", Decoded::kValid, 0x10ffff, 4},
      {"\x80", Decoded::kInvalid, 0, 1},
      {"\xc0\xaf", Decoded::kInvalid, 0, 1},          // overlong
      {"\xe0\x9f\xbf", Decoded::kInvalid, 0, 1},      // overlong
      {"\xed\xa0\x80", Decoded::kInvalid, 0, 1},      // a surrogate
      {"\xf4\x90\x80\x80", Decoded::kInvalid, 0, 1},  // beyond Unicode
      {"\xf5\x80\x80\x80", Decoded::kInvalid, 0, 1},
      {"\xff", Decoded::kInvalid, 0, 1},
      {"\xc3(", Decoded::kInvalid, 0, 1},
      {"\xc3", Decoded::kIncomplete, 0, 1},
      {"\xf0\x90\x80", Decoded::kIncomplete, 0, 3},
  };
  for (const Case& one : cases) {
    const CodePoint at = decode_utf8(one.text);
    EXPECT_EQ(at.state, one.state) << one.text;
    EXPECT_EQ(at.value, one.value) << one.text;
    EXPECT_EQ(at.length, one.length) << one.text;
    EXPECT_EQ(is_utf8(one.text.substr(0, one.length)), one.state == Decoded::kValid) << one.text;
  }
}

TEST(Utf8, ChecksTheWholeText) {
  EXPECT_TRUE(is_utf8(""));
  for (size_t before = 0; before < 20; ++before) {
    for (size_t after = 0; after < 20; ++after) {
      const std::string left(before, 'x'), right(after, 'y');
      EXPECT_TRUE(is_utf8(left + "漢" + right));
      EXPECT_FALSE(is_utf8(left + "\xff" + right));
      EXPECT_FALSE(is_utf8(left + right + "\xe6\xbc"));
    }
  }
}

}  // namespace
}  // namespace bgtask::wire
