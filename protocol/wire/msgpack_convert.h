// What the two users of msgpack-c share: its limits, its errors, its objects as documents. Private to wire.
#pragma once

#include <cstddef>
#include <exception>
#include <msgpack.hpp>

#include "protocol/wire/codec.h"

namespace bgtask::wire {

/// msgpack-c's own defaults accept a million levels and 2^32 elements; every use passes these instead.
msgpack::unpack_limit unpack_limit(DecodeLimits limits, size_t max_bytes);

/// parse_error for extension types and keys that are no strings, frame_too_large beyond `max_elements`.
Result<Json> to_document(const msgpack::object& object, size_t max_elements);

/// The failure that an exception of msgpack-c means.
Failure unpack_failure(const std::exception& error);

}  // namespace bgtask::wire
