#include "protocol/wire/msgpack_scanner.h"

namespace bgtask::wire {
namespace {

// Bytes of a length that follow tags 0xc4 to 0xc6, 0xd9 to 0xdb (by the tag's distance from the first of its
// three).
constexpr size_t kLengthBytes[] = {1, 2, 4};

}  // namespace

// The format's own table: https://github.com/msgpack/msgpack/blob/master/spec.md#formats
MsgpackScanner::Header MsgpackScanner::header_of(uint8_t tag) {
  if (tag <= 0x7f || tag >= 0xe0) return {};                                       // small integers
  if (tag <= 0x8f) return {1, 0, uint64_t{2} * (tag & 0x0f), true, true};          // small map
  if (tag <= 0x9f) return {1, 0, uint64_t{tag} & 0x0f, true, true};                // small array
  if (tag <= 0xbf) return {1, uint64_t{tag} & 0x1f, 0, false, true};               // short string
  if (tag <= 0xc3) return {1, 0, 0, false, tag != 0xc1};                           // nil, booleans
  if (tag <= 0xc6) return {1 + kLengthBytes[tag - 0xc4], 0, 0, false, true};       // binary
  if (tag <= 0xc9) return {1, 0, 0, false, false};                                 // extensions
  if (tag <= 0xcb) return {1, tag == 0xca ? uint64_t{4} : 8, 0, false, true};      // floats
  if (tag <= 0xd3) return {1, uint64_t{1} << ((tag - 0xcc) & 3), 0, false, true};  // integers
  if (tag <= 0xd8) return {1, 0, 0, false, false};                                 // extensions
  if (tag <= 0xdb) return {1 + kLengthBytes[tag - 0xd9], 0, 0, false, true};       // string
  return {tag % 2 == 0 ? size_t{3} : size_t{5}, 0, 0, true, true};  // array, map of 16 or 32 bits
}

uint64_t MsgpackScanner::big_endian(std::string_view bytes) {
  uint64_t value = 0;
  for (char byte : bytes)
    value = value << 8 | static_cast<uint8_t>(byte);
  return value;
}

MsgpackScanner::Progress MsgpackScanner::scan(std::string_view bytes) {
  wanted_ = 0;
  content_ = 0;
  while (at_ < bytes.size()) {
    auto tag = static_cast<uint8_t>(bytes[at_]);
    Header header = header_of(tag);
    if (!header.valid) return Progress::kMalformed;
    if (bytes.size() - at_ < header.size) return Progress::kNeedMore;
    if (header.size > 1) {
      uint64_t length = big_endian(bytes.substr(at_ + 1, header.size - 1));
      bool map = tag == 0xde || tag == 0xdf;
      (header.container ? header.children : header.payload) = map ? 2 * length : length;
    }
    if (header.payload > max_bytes_) return Progress::kTooLarge;
    if (bytes.size() - at_ < header.size + header.payload) {
      wanted_ = at_ + header.size + header.payload;
      content_ = header.payload;
      return Progress::kNeedMore;
    }
    at_ += header.size + header.payload;
    // Counts keys as values, so this is coarse; decode_msgpack() applies the exact limit.
    if (++values_ > 2 * limits_.elements) return Progress::kTooLarge;
    if (header.container) {
      if (depth_ >= limits_.depth) return Progress::kTooDeep;
      if (header.children > 2 * limits_.elements) return Progress::kTooLarge;
      left_[depth_++] = header.children;
    }
    if (value_ended(header.container && header.children > 0)) return Progress::kComplete;
  }
  return Progress::kNeedMore;
}

// Counts a value at its end; a non-empty container ends with its last value. True at the end of the object.
bool MsgpackScanner::value_ended(bool has_children) {
  if (has_children) return false;
  if (depth_ > 0 && left_[depth_ - 1] == 0) --depth_;  // the empty container itself
  while (depth_ > 0 && --left_[depth_ - 1] == 0)
    --depth_;
  return depth_ == 0;
}

}  // namespace bgtask::wire
