// UTF-8 (RFC 3629: no overlong forms, no surrogates).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace bgtask::wire {

enum class Decoded {
  kValid,
  kInvalid,     ///< the first byte begins no code point: pass over that byte
  kIncomplete,  ///< the text ends within a code point
};

struct CodePoint {
  Decoded state = Decoded::kInvalid;
  uint32_t value = 0;
  size_t length = 1;  ///< bytes
};

/// The code point at the front of a text that is not empty.
CodePoint decode_utf8(std::string_view text);

}  // namespace bgtask::wire
