#include "protocol/wire/long_values.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "protocol/wire/codec.h"

namespace bgtask::wire {
namespace {

constexpr size_t kLeastRoom = 16 * 1024;
constexpr size_t kMostRoom = 256 * 1024;  // a little more than a socket holds

// By the tag that it has in msgpack.
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

// Those of a string or a binary, after `change` has been made to how many they are.
std::span<char> resize(Json& value, ptrdiff_t change) {
  const auto changed = [change](auto& bytes) {
    bytes.resize(static_cast<size_t>(std::ssize(bytes) + change));
    return std::span(reinterpret_cast<char*>(bytes.data()), bytes.size());
  };
  return value.is_string() ? changed(value.get_ref<std::string&>()) : changed(value.get_binary());
}

// A value's header, of more than one byte, comes to announce one byte, the first of the content.
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
  // Nothing that follows allocates: either all of it is done or none.
  missing_ = size - arrived.size();
  elsewhere_ += arrived.size() - 1;
  leave_one_byte(object, header, content);
}

std::string_view LongValues::fill(std::string_view bytes) {
  if (missing_ == 0) return bytes;
  const std::string_view content = bytes.substr(0, missing_);
  append(values_.back().value, content);
  missing_ -= content.size();
  elsewhere_ += content.size();
  return bytes.substr(content.size());
}

// Not all that is missing: new room is filled with zeros, so it is no more than the bytes that have come. Who
// announces much and sends little has little memory touched.
std::span<char> LongValues::room() {
  if (missing_ < kLeastRoom) return {};
  const size_t arrived = raw_bytes(values_.back().value).size();
  const size_t size = std::min({missing_, arrived, kMostRoom});
  if (size < kLeastRoom) return {};
  return room_ = resize(values_.back().value, static_cast<ptrdiff_t>(size)).last(size);
}

void LongValues::received(size_t size) {
  resize(values_.back().value, static_cast<ptrdiff_t>(size) - std::ssize(room_));
  room_ = {};
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
