// Cursors into a task's output. Below kFirstUnrecordedCursor a cursor is the seq of the index record to go on
// with. From there on it is a place within output that has no index record (any more): how far each stream
// has been read is packed into the number, so that a reader without memory of its own can read such output
// page by page.
#pragma once

#include <array>
#include <cstdint>

namespace bgtask::ring {

/// How much there ever was of stdout, stderr (bytes) and data (messages) before some cursor.
using Totals = std::array<uint64_t, 3>;

/// No seq gets there. Cursors stay below 2^53, which clients keep in a double.
inline constexpr uint64_t kFirstUnrecordedCursor = uint64_t{1} << 52;
/// Reading without records stops only at multiples of these.
inline constexpr Totals kUnrecordedUnits = {16 * 1024, 16 * 1024, 1};

constexpr bool is_unrecorded(uint64_t cursor) {
  return cursor >= kFirstUnrecordedCursor && cursor < 2 * kFirstUnrecordedCursor;
}
/// Whether a reader at `cursor` has come to record `seq`: output without records lies before every record.
constexpr bool has_reached(uint64_t cursor, uint64_t seq) {
  return cursor >= seq && !is_unrecorded(cursor);
}

/// The cursor for a reader who has come to `totals` (rounded down to units).
uint64_t unrecorded_cursor(const Totals& totals);
/// What unrecorded_cursor() was given, where the streams are now at `limits`. The number holds the low bits
/// of each total: it is exact unless 4 GiB of a stream, or 65,536 messages, have come in between.
Totals totals_of(uint64_t cursor, const Totals& limits);

}  // namespace bgtask::ring
