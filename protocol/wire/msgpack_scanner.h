// Finds the end of a msgpack object, and errors in it, before decoding or allocating. Private to wire.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "protocol/wire/codec.h"
#include "protocol/wire/limits.h"

namespace bgtask::wire {

/// Scans the headers of one object incrementally: no byte is read twice, however the input is cut. A header
/// that claims too much is refused when it is seen.
class MsgpackScanner {
 public:
  enum class Progress { kNeedMore, kComplete, kTooDeep, kTooLarge, kMalformed };

  MsgpackScanner(DecodeLimits limits, size_t max_bytes) : limits_(limits), max_bytes_(max_bytes) {}

  /// Continues in `bytes`, which begins with the object and has grown since the last call. The value at end()
  /// may have been replaced.
  Progress scan(std::string_view bytes);
  /// After kComplete: the object's size.
  size_t end() const { return at_; }
  /// After kNeedMore: least total size of the object; 0 if unknown.
  size_t wanted() const { return wanted_; }
  /// Number of these bytes that belong to a string or binary whose header is at end(); 0 if there is none.
  size_t content() const { return content_; }

 private:
  struct Header {
    size_t size = 1;        // of the header itself
    uint64_t payload = 0;   // bytes that follow
    uint64_t children = 0;  // values that follow
    bool container = false;
    bool valid = true;
  };
  static Header header_of(uint8_t tag);
  static uint64_t big_endian(std::string_view bytes);
  bool value_ended(bool has_children);

  DecodeLimits limits_;
  size_t max_bytes_;
  size_t at_ = 0;
  size_t wanted_ = 0;
  size_t content_ = 0;
  size_t depth_ = 0;
  size_t values_ = 0;
  std::array<uint64_t, 2 * kMaxDepth + 1> left_{};  // values still missing, a level each
};

/// Decodes a complete object found by a scanner with the same limits. The values in `apart` replace their
/// placeholders, in order.
Result<Json> decode_scanned(std::string_view bytes, DecodeLimits limits, std::vector<SetApart> apart = {});

}  // namespace bgtask::wire
