#include "protocol/wire/typed.h"

#include <limits>

namespace bgtask::wire {

const Json& member_in(const Json& object, const char* key) {
  static const Json kNone;
  if (!object.is_object()) return kNone;
  const auto found = object.find(key);
  return found != object.end() ? *found : kNone;
}

std::optional<uint64_t> as_unsigned(const Json& value) {
  if (!value.is_number_integer()) return std::nullopt;
  if (!value.is_number_unsigned() && value.get<int64_t>() < 0) return std::nullopt;
  return value.get<uint64_t>();
}

std::optional<int> as_pid(const Json& value) {
  const std::optional<uint64_t> number = as_unsigned(value);
  if (!number || *number == 0 || *number > std::numeric_limits<int>::max()) return std::nullopt;
  return static_cast<int>(*number);
}

std::optional<double> as_number(const Json& value) {
  return value.is_number() ? std::optional(value.get<double>()) : std::nullopt;
}

uint64_t unsigned_in(const Json& object, const char* key, uint64_t otherwise) {
  return as_unsigned(member_in(object, key)).value_or(otherwise);
}

double number_in(const Json& object, const char* key, double otherwise) {
  return as_number(member_in(object, key)).value_or(otherwise);
}

bool flag_in(const Json& object, const char* key, bool otherwise) {
  const Json& value = member_in(object, key);
  return value.is_boolean() ? value.get<bool>() : otherwise;
}

std::string text_in(const Json& object, const char* key) {
  const Json& value = member_in(object, key);
  return value.is_string() ? value.get<std::string>() : std::string();
}

}  // namespace bgtask::wire
