// Members of documents that nobody has checked: a default where one is missing or of another type.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "protocol/wire/json.h"

namespace bgtask::wire {

/// The member of an object; null where there is none.
const Json& member_in(const Json& object, const char* key);

/// A whole number that is not negative, else nothing.
std::optional<uint64_t> as_unsigned(const Json& value);
/// A whole number from 1 to the largest pid_t, else nothing.
std::optional<int> as_pid(const Json& value);
std::optional<double> as_number(const Json& value);

uint64_t unsigned_in(const Json& object, const char* key, uint64_t otherwise = 0);
double number_in(const Json& object, const char* key, double otherwise = 0);
bool flag_in(const Json& object, const char* key, bool otherwise = false);
std::string text_in(const Json& object, const char* key);

}  // namespace bgtask::wire
