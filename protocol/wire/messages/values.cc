#include "protocol/wire/messages/values.h"

namespace bgtask::wire {

Bytes Bytes::of(Json value) {
  Bytes bytes;
  if (value.is_object()) {
    if (const auto decoded = bytes_of(value)) bytes.value_ = Json(*decoded);
  } else if (value.is_string() || value.is_binary()) {
    bytes.value_ = std::move(value);
  }
  return bytes;
}

std::string Bytes::take() && {
  if (value_.is_string()) return std::move(value_.get_ref<std::string&>());
  return std::string(view());
}

}  // namespace bgtask::wire
