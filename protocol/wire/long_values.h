// Long strings and binaries of a msgpack object that arrives in pieces. Private to wire.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/wire/json.h"

namespace bgtask::wire {

/// A long string or binary of a msgpack object, received in its final place. The object's other bytes hold a
/// placeholder with one byte of content at `at`.
struct SetApart {
  size_t at;
  Json value;
};

/// The long values of the arriving object. The content of each is received straight into the string or vector
/// that becomes the document's value. Its placeholder keeps the type and has one byte, so that scanner and
/// decoder see an ordinary object. The placeholder is not empty because the decoder identifies it by the
/// address of its content, and the library reports no address for empty content.
///
/// Only begin() allocates, once for each value, so a failed allocation leaves everything unchanged.
class LongValues {
 public:
  /// Shorter values are copied, because an allocation costs about as much as the copy.
  static constexpr size_t kLeast = 4096;

  /// Begins a value of `size` bytes after all earlier ones are complete. `object` ends in it: its header is
  /// at `header`, and at least one byte of its content has arrived at `content`. Leaves the placeholder.
  void begin(std::string& object, size_t header, size_t content, size_t size);
  /// Takes the bytes of the last value; returns the bytes after it.
  std::string_view fill(std::string_view bytes);
  /// Memory to receive the next bytes of the last value into; empty if that is not worth it. Never longer
  /// than what has arrived.
  std::span<char> room();
  /// Reports that this many bytes (perhaps none) were received into room().
  void received(size_t size);

  /// Whether the last value is incomplete.
  bool incomplete() const { return missing_ > 0; }
  /// Bytes of the object held outside it.
  size_t elsewhere() const { return elsewhere_; }
  /// Moves all values out, in order, for the decoder.
  std::vector<SetApart> take();

 private:
  std::vector<SetApart> values_;
  size_t elsewhere_ = 0;
  size_t missing_ = 0;    // missing bytes of the last value
  std::span<char> room_;  // the part of its memory that is to be received into
};

}  // namespace bgtask::wire
