#include <algorithm>

#include "protocol/wire/codec.h"
#include "protocol/wire/limits.h"

namespace bgtask::wire {
namespace {

// Raised inside nlohmann's parser callback and caught in decode_json: the only way to stop the parser early.
struct LimitReached {
  ErrorCode code;
  const char* what;
};

// nlohmann would write a binary value as {"bytes": [...]}; here bytes are a string or a base64 object.
bool is_rewritten(const Json& value) {
  return value.is_binary() || (value.is_string() && !is_utf8(value.get_ref<const std::string&>()));
}

bool needs_rewriting(const Json& value) {
  if (!value.is_structured()) return is_rewritten(value);
  return std::any_of(value.begin(), value.end(), needs_rewriting);
}

void rewrite_bytes(Json& value) {
  if (value.is_structured()) {
    for (Json& child : value)
      rewrite_bytes(child);
  } else if (is_rewritten(value)) {
    const std::string_view bytes = raw_bytes(value);
    value = is_utf8(bytes) ? Json(std::string(bytes)) : Json{{"base64", base64_encode(bytes)}};
  }
}

std::string dump(const Json& document) {
  // The error handler matters for keys only: values that are not UTF-8 have been rewritten.
  return document.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

DecodeLimits request_limits() {
  return {kMaxDepth, kMaxElements};
}

DecodeLimits reply_limits() {
  return {kMaxDepth * 2, kMaxReply};
}

Result<Json> decode_json(std::string_view text, DecodeLimits limits) {
  size_t elements = 0;
  auto check = [&](int depth, Json::parse_event_t event, Json&) {
    using Event = Json::parse_event_t;
    bool opens = event == Event::object_start || event == Event::array_start;
    if (opens && static_cast<size_t>(depth) >= limits.depth)
      throw LimitReached{ErrorCode::kTooDeep, "nested too deeply"};
    if ((opens || event == Event::value) && ++elements > limits.elements) {
      throw LimitReached{ErrorCode::kFrameTooLarge, "too many elements"};
    }
    return true;
  };
  try {
    return Json::parse(text, check);
  } catch (const LimitReached& limit) {
    return fail(limit.code, std::string("the message is ") +
                                (limit.code == ErrorCode::kTooDeep ? "" : "too large: ") + limit.what);
  } catch (const Json::parse_error& error) {
    return fail(ErrorCode::kParseError, "not JSON (byte " + std::to_string(error.byte) + ")");
  } catch (const Json::exception&) {
    return fail(ErrorCode::kParseError, "not JSON");
  }
}

std::string encode_json(const Json& document) {
  return needs_rewriting(document) ? encode_json(Json(document)) : dump(document);
}

std::string encode_json(Json&& document) {
  rewrite_bytes(document);
  return dump(document);
}

Json binary_value(std::string_view bytes) {
  const auto* begin = reinterpret_cast<const uint8_t*>(bytes.data());
  return Json::binary(Json::binary_t::container_type(begin, begin + bytes.size()));
}

Json text_value(std::string_view bytes) {
  return is_utf8(bytes) ? Json(std::string(bytes)) : binary_value(bytes);
}

std::string_view raw_bytes(const Json& value) {
  if (value.is_string()) return value.get_ref<const std::string&>();
  if (!value.is_binary()) return {};
  const auto& binary = value.get_binary();
  return {reinterpret_cast<const char*>(binary.data()), binary.size()};
}

std::optional<std::string> bytes_of(const Json& value) {
  if (value.is_string() || value.is_binary()) return std::string(raw_bytes(value));
  if (value.is_object() && value.size() == 1) {
    auto it = value.find("base64");
    if (it != value.end() && it->is_string()) return base64_decode(it->get_ref<const std::string&>());
  }
  return std::nullopt;
}

}  // namespace bgtask::wire
