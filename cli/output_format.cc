#include "cli/output_format.h"

#include <algorithm>
#include <utility>

#include "cli/escaping.h"
#include "protocol/wire/codec.h"

namespace bgtask::cli {
namespace {

// JSON has no bytes.
Json printable(const Json& value) {
  if (value.is_binary()) {
    return {{"base64", wire::base64_encode(wire::raw_bytes(value))}};
  }
  if (value.is_string()) return bytes_as_json(value.get_ref<const std::string&>());
  Json copy = value;
  if (value.is_structured()) {
    for (auto& [key, member] : copy.items())
      member = printable(member);
  }
  return copy;
}

}  // namespace

Json bytes_as_json(std::string_view bytes) {
  if (wire::is_utf8(bytes)) return std::string(bytes);
  return {{"base64", wire::base64_encode(bytes)}};
}

std::string json_line(const Json& document) {
  return printable(document).dump(-1, ' ', true, Json::error_handler_t::replace);
}

std::string json_text(const Json& document) {
  return printable(document).dump(2, ' ', true, Json::error_handler_t::replace);
}

std::string plain_text(const Json& value) {
  if (const auto bytes = wire::bytes_of(value)) return std::string(*bytes);
  return json_line(value);
}

}  // namespace bgtask::cli
