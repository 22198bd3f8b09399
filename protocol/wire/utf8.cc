#include "protocol/wire/utf8.h"

#include <cstring>

#include "protocol/wire/codec.h"

namespace bgtask::wire {
namespace {

bool is_acceptable(uint32_t value, size_t length) {
  static constexpr uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = value >= 0xd800 && value <= 0xdfff;
  return value >= kSmallest[length] && value <= 0x10ffff && !surrogate;
}

}  // namespace

CodePoint decode_utf8(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t first = byte(0);
  if (first < 0x80) return {Decoded::kValid, first, 1};
  if (first < 0xc2 || first > 0xf4) return {};
  const size_t length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  uint32_t value = first & (0xffu >> (length + 1));
  for (size_t i = 1; i < length; ++i) {
    if (i == text.size()) return {Decoded::kIncomplete, 0, text.size()};
    if ((byte(i) & 0xc0) != 0x80) return {};
    value = value << 6 | (byte(i) & 0x3fu);
  }
  if (!is_acceptable(value, length)) return {};
  return {Decoded::kValid, value, length};
}

bool is_utf8(std::string_view bytes) {
  while (!bytes.empty()) {
    // Most texts are ASCII: eight bytes at a time.
    uint64_t eight = 0;
    if (bytes.size() >= sizeof eight) {
      std::memcpy(&eight, bytes.data(), sizeof eight);
      if ((eight & 0x8080808080808080u) == 0) {
        bytes.remove_prefix(sizeof eight);
        continue;
      }
    }
    const CodePoint at = decode_utf8(bytes);
    if (at.state != Decoded::kValid) return false;
    bytes.remove_prefix(at.length);
  }
  return true;
}

}  // namespace bgtask::wire
