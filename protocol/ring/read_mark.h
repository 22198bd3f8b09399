// Marks by which the next writer knows whether a dead one's last read from a pipe had been made.
#pragma once

#include "protocol/ring/format.h"

namespace bgtask::ring {

/// Before `length` bytes, which wait in a pipe, are read to position `limit` in one system call, which takes
/// all of them or none: announces the write and marks its last bytes.
void mark_read(Header& header, std::byte* data, uint64_t limit, uint64_t length);
/// What a writer that was killed between such a read and its publication had read: how many bytes, 0 if none.
uint64_t unpublished_read(const Header& header, const std::byte* data, uint64_t limit);

}  // namespace bgtask::ring
