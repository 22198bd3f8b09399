// Finds where a msgpack object ends, and what is wrong with it, before anything of it is decoded or allocated
// for. Private to wire.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "protocol/wire/codec.h"
#include "protocol/wire/limits.h"

namespace bgtask::wire {

/// Goes through the headers of one object, incrementally: no byte is looked at twice, whatever the pieces in
/// which they arrive. A header that claims too much is refused when it is seen, not when its elements do not
/// come.
class MsgpackScanner {
 public:
  enum class Progress { kNeedMore, kComplete, kTooDeep, kTooLarge, kMalformed };

  MsgpackScanner(DecodeLimits limits, size_t max_bytes) : limits_(limits), max_bytes_(max_bytes) {}

  /// Continues in `bytes`, which begins with the object and has grown since the last call. What lies behind
  /// end() may have become another value.
  Progress scan(std::string_view bytes);
  /// After kComplete: the object's size.
  size_t end() const { return at_; }
  /// After kNeedMore: so many bytes there will be at least; 0 where that is not known.
  size_t wanted() const { return wanted_; }
  /// The last of which, so many, are a string or binary that begins at end() with its header; 0 if there is
  /// none.
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

/// Decodes what a scanner with the same limits has found to be one complete object. Those in `apart` are
/// taken for what stands in their places; they are in the order of these.
Result<Json> decode_scanned(std::string_view bytes, DecodeLimits limits, std::vector<SetApart> apart = {});

}  // namespace bgtask::wire
