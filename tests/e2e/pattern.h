// The bytes a test child writes and the test expects: all 256 values, with a period far longer than any page
// or ring, so that a piece taken from a wrong place never looks right.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace bgtask::e2e {

inline char pattern_byte(uint64_t offset) {
  return static_cast<char>((offset * 131 + (offset >> 8) * 31 + (offset >> 16) * 7 + (offset >> 24)) & 0xff);
}

/// Bytes [begin, begin + size) of the pattern.
inline std::string pattern(uint64_t begin, size_t size) {
  std::string bytes(size, '\0');
  for (size_t i = 0; i < size; ++i)
    bytes[i] = pattern_byte(begin + i);
  return bytes;
}

}  // namespace bgtask::e2e
