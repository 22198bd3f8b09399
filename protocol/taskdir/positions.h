// The counters of a stream as documents carry them.
#pragma once

#include <cstdint>

#include "protocol/ring/format.h"
#include "protocol/wire/json.h"

namespace bgtask::taskdir {

/// Adds start, consumed, limit, lost and eof to an object.
void add_counters(Json& object, const ring::Positions& positions);
/// The same and the error's name (null: none): a stream's part of the info document, which has `capacity`
/// too.
Json stream_part(const ring::Positions& positions, uint64_t capacity);
/// What an object holds of them; 0 and false where a member is missing or of another type.
ring::Positions positions_in(const Json& object);

/// "EIO" for EIO; null for 0.
Json error_name(int error);

}  // namespace bgtask::taskdir
