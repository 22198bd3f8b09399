#include "pool/src/match.h"

#include <bgtask/task_pool.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>

#include "protocol/taskdir/keys.h"

namespace bgtask {
namespace {

// Below this every integer has a double of its own, so that a number without a fraction reads like an
// integer.
constexpr double kExactIntegers = 9007199254740992.0;

std::string number_text(double value) {
  bool whole = std::trunc(value) == value && std::abs(value) < kExactIntegers;
  return whole ? std::to_string(static_cast<std::int64_t>(value)) : Json(value).dump();
}

// What a scalar looks like where its type does not matter.
std::string text_of(const Json& scalar) {
  switch (scalar.type()) {
    case Json::value_t::boolean:
      return scalar.get<bool>() ? "1" : "0";
    case Json::value_t::string:
      return scalar.get<std::string>();
    case Json::value_t::number_integer:
      return std::to_string(scalar.get<std::int64_t>());
    case Json::value_t::number_unsigned:
      return std::to_string(scalar.get<std::uint64_t>());
    case Json::value_t::number_float:
      return number_text(scalar.get<double>());
    case Json::value_t::binary:
      return std::string(scalar.get_binary().begin(), scalar.get_binary().end());
    default:
      return scalar.dump();
  }
}

bool is_container(const Json& value) {
  return value.is_object() || value.is_array();
}

bool scalars_match(const Json& pattern, const Json& value) {
  if (is_container(value)) return false;
  // Nothing is not the text "null": it equals itself only.
  if (pattern.is_null() || value.is_null()) return pattern.is_null() && value.is_null();
  if (pattern.is_number() && value.is_number()) return pattern == value;
  return text_of(pattern) == text_of(value);
}

bool object_matches(const Json& pattern, const Json& value) {
  if (!value.is_object()) return false;
  for (const auto& [key, wanted] : pattern.items()) {
    auto found = value.find(key);
    if (found == value.end() || !matches(wanted, *found)) return false;
  }
  return true;
}

bool array_matches(const Json& pattern, const Json& value) {
  return value.is_array() && std::equal(pattern.begin(), pattern.end(), value.begin(), value.end(), matches);
}

}  // namespace

bool matches(const Json& pattern, const Json& document) {
  if (pattern.is_object()) return object_matches(pattern, document);
  if (pattern.is_array()) return array_matches(pattern, document);
  return scalars_match(pattern, document);
}

bool mentions_streams(const Json& pattern) {
  return pattern.is_object() && pattern.contains(taskdir::key::kStreams);
}

}  // namespace bgtask
