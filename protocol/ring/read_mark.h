// Marks that tell the next writer whether a killed writer's last read from a pipe took place.
#pragma once

#include "protocol/ring/format.h"

namespace bgtask::ring {

/// Announces a write of `length` bytes at position `limit` and marks its last bytes. Call before one system
/// call reads these bytes from a pipe, all or none.
void mark_read(Header& header, std::byte* data, uint64_t limit, uint64_t length);
/// Number of bytes read by a writer that was killed between such a read and its publication; 0 if none.
uint64_t unpublished_read(const Header& header, const std::byte* data, uint64_t limit);

}  // namespace bgtask::ring
