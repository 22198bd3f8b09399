#include "protocol/wire/long_values.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "protocol/wire/codec.h"

namespace bgtask::wire {
namespace {

constexpr size_t kLeastRoom = 16 * 1024;
constexpr size_t kMostRoom = 256 * 1024;  // a little more than a socket holds

// Chosen by the value's msgpack tag.
Json empty_bytes(char tag, size_t capacity) {
  if (static_cast<uint8_t>(tag) <= 0xc6) {
    Json::binary_t::container_type binary;
    binary.reserve(capacity);
    return Json::binary(std::move(binary));
  }
  std::string text;
  text.reserve(capacity);
  return Json(std::move(text));
}

void append(Json& value, std::string_view bytes) {
  if (value.is_string()) {
    value.get_ref<std::string&>().append(bytes);
  } else {
    Json::binary_t& binary = value.get_binary();
    const auto* begin = reinterpret_cast<const uint8_t*>(bytes.data());  // chars are copied one by one
    binary.insert(binary.end(), begin, begin + bytes.size());
  }
}

// Extends a string or binary to `size` bytes and returns them.
std::span<char> resize(Json& value, size_t size) {
  const auto resized = [size](auto& bytes) {
    bytes.resize(size);
    return std::span(reinterpret_cast<char*>(bytes.data()), size);
  };
  return value.is_string() ? resized(value.get_ref<std::string&>()) : resized(value.get_binary());
}

// Rewrites a value's header so that it announces one byte, the first of the content.
void leave_one_byte(std::string& object, size_t header, size_t content) {
  object.replace(header + 1, content - header - 2, content - header - 2, '\0');
  object[content - 1] = 1;
  object.resize(content + 1);
}

}  // namespace

void LongValues::begin(std::string& object, size_t header, size_t content, size_t size) {
  const std::string_view arrived = std::string_view(object).substr(content);
  Json value = empty_bytes(object[header], size);
  append(value, arrived);
  values_.push_back({content, std::move(value)});
  // Nothing below allocates, so all of it is done or none.
  missing_ = size - arrived.size();
  elsewhere_ += arrived.size() - 1;
  leave_one_byte(object, header, content);
}

std::string_view LongValues::fill(std::string_view bytes) {
  const std::string_view content = bytes.substr(0, missing_);
  const std::string_view first = content.substr(0, room_.size());
  std::ranges::copy(first, room_.begin());
  if (first.size() < content.size()) append(values_.back().value, content.substr(first.size()));
  received(content.size());
  return bytes.substr(content.size());
}

// Not all that is missing: new room is zeroed, so it is limited to the number of bytes that have arrived. A
// sender that announces much and sends little makes us touch little memory.
std::span<char> LongValues::room() {
  if (missing_ < kLeastRoom) return {};
  Json& value = values_.back().value;
  const size_t arrived = raw_bytes(value).size() - room_.size();
  const size_t size = std::min({missing_, arrived, kMostRoom});
  if (size < kLeastRoom) return {};
  return room_ = resize(value, arrived + size).last(size);
}

// Unused room stays, and room() only adds to it: zeroing all of it again for each small piece would cost more
// than receiving the piece.
void LongValues::received(size_t size) {
  room_ = room_.subspan(std::min(size, room_.size()));
  missing_ -= size;
  elsewhere_ += size;
}

std::vector<SetApart> LongValues::take() {
  elsewhere_ = 0;
  missing_ = 0;
  room_ = {};
  return std::exchange(values_, {});
}

}  // namespace bgtask::wire
