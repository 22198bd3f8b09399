// Documents from text that is known to be plain JSON: see json_members.h.
#pragma once

#include <string_view>

#include "protocol/wire/json.h"

namespace bgtask::wire {

/// The value that `text` begins with. The text has been looked at: it is JSON without blanks around it, and
/// has no escapes by number and no number that is long or has an exponent. Several times faster than a parser
/// that trusts nothing.
Json plain_json(std::string_view text);

}  // namespace bgtask::wire
