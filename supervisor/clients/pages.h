// Pages of output for replies and notifications, and their limits.
#pragma once

#include <cstddef>
#include <cstdint>

#include "protocol/ring/output_reader.h"
#include "protocol/wire/codec.h"
#include "protocol/wire/messages.h"

namespace bgtask::supervisor {

/// Raw bytes in one reply, so that the encoded reply stays below 1 MiB: JSON takes up to six bytes for one.
size_t page_bytes(wire::Encoding encoding);
/// The same for pages of many small pieces, each of which has its own overhead.
size_t piece_bytes(wire::Encoding encoding);
/// The most data messages in one reply.
size_t max_messages(wire::Encoding encoding);

double seconds_of_ns(uint64_t time_ns);

wire::OutputPage output_page(const ring::OutputBatch& batch);

}  // namespace bgtask::supervisor
