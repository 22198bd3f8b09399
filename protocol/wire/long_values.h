// Long strings and binaries of a msgpack object that arrives in pieces. Private to wire.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/wire/json.h"

namespace bgtask::wire {

/// A long string or binary of a msgpack object that was received where it will stay. In its place the other
/// bytes of the object have one of a single byte, which lies at `at`.
struct SetApart {
  size_t at;
  Json value;
};

/// Those of the object that is arriving. The content of each goes straight into the string or vector that
/// will be the document's value, one after the other. What stands in for it keeps its type and has one byte,
/// so that scanner and decoder see an ordinary object. It is not empty because the decoder knows it by the
/// place of its content, and the library does not say where that of an empty one lies.
///
/// Memory for a value is asked for once, by begin(). Nothing else here allocates, so a failure to allocate
/// leaves everything as it was.
class LongValues {
 public:
  /// Of fewer bytes it is not worth it: another allocation is hardly less than a copy.
  static constexpr size_t kLeast = 4096;

  /// Begins with one of `size` bytes, once all before it are complete. `object` ends in it: its header is at
  /// `header`, and at `content` at least one byte of its content has arrived. Leaves what stands in for it.
  void begin(std::string& object, size_t header, size_t content, size_t size);
  /// Takes what belongs to the last one; gives back what follows it.
  std::string_view fill(std::string_view bytes);
  /// Where the next bytes of the last one may be received instead; empty where that is not worth it. Never
  /// more than have arrived.
  std::span<char> room();
  /// So many bytes, perhaps none, are in the room that was given.
  void received(size_t size);

  /// Whether the last one is still arriving.
  bool incomplete() const { return missing_ > 0; }
  /// By how many bytes the object is longer than what is left of it.
  size_t elsewhere() const { return elsewhere_; }
  /// All, in their order, for the decoder; then there are none.
  std::vector<SetApart> take();

 private:
  std::vector<SetApart> values_;
  size_t elsewhere_ = 0;
  size_t missing_ = 0;    // bytes of the last one
  std::span<char> room_;  // its last bytes, which are to be received yet: no more than are missing
};

}  // namespace bgtask::wire
