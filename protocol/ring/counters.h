// The writer's way of changing a ring's counters: every update is whole for readers, and for the next writer
// when this one is killed in the middle.
#pragma once

#include <cstdint>

#include "protocol/ring/format.h"

namespace bgtask::ring {

/// The six counters under the sequence lock.
struct Counters {
  uint64_t start = 0;
  uint64_t consumed = 0;
  uint64_t limit = 0;
  uint64_t lost = 0;
  uint64_t start_position = 0;
  uint64_t limit_position = 0;

  /// Nothing below `to` can be read any more; what nobody had consumed of it is lost.
  void drop_to(uint64_t to) {
    if (to <= start) return;
    if (to > consumed) {
      lost += to - consumed;
      consumed = to;
    }
    start = to;
  }
};

/// The writer's own counters: no lock, nobody else changes them.
Counters load(const Header& header);
/// What they will be after the update under way.
Counters load_pending(const Header& header);
void publish(Header& header, const Counters& counters);
/// The same with `eof` and `error`.
void publish_end(Header& header, bool eof, int os_error);

/// Announces that bytes up to position `end` are about to be written; call before the first of them is.
void announce_write(Header& header, uint64_t end);
/// Nothing beyond `end` is being written (any more).
void end_write(Header& header, uint64_t end);

/// Finishes the update a killed writer left half done. False if the counters make no sense.
bool settle(Header& header);

/// Whether these counters can be those of a ring of this kind and capacity.
bool plausible(const Counters& counters, Kind kind, uint64_t capacity);

/// What RingView::positions gives, from the writer's own side.
Positions positions_of(const Header& header);

}  // namespace bgtask::ring
