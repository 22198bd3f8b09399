// Documents from text that is known to be plain JSON: see json_members.h.
#pragma once

#include <string_view>

#include "protocol/wire/json.h"

namespace bgtask::wire {

/// The value at the start of `text`, which must have been validated: JSON without surrounding blanks, numeric
/// escapes, exponents or long numbers. Several times faster than a validating parser.
Json plain_json(std::string_view text);

}  // namespace bgtask::wire
