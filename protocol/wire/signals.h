// Signals by name.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "protocol/wire/json.h"

namespace bgtask::wire {

/// Number of "TERM", "SIGTERM", "sigterm", "RTMIN+3", "RTMAX-1"; nothing for an unknown name. Real-time names
/// count from glibc's RTMIN, 34.
std::optional<int> signal_number(std::string_view name);
/// The same for a JSON value, which may also be a number 1–64.
std::optional<int> signal_number(const Json& value);
/// "TERM" for 15, "RTMIN+3" for 37; "33" for a number without a name.
std::string signal_name(int number);

}  // namespace bgtask::wire
