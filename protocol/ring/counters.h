// How the writer changes a ring's counters: readers, and the next writer after a kill, see each update whole
// or not at all.
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

  /// Drops everything below `to`; counts the unconsumed part as lost.
  void drop_to(uint64_t to) {
    if (to <= start) return;
    if (to > consumed) {
      lost += to - consumed;
      consumed = to;
    }
    start = to;
  }
};

/// The writer's own counters; no lock, because only the writer changes them.
Counters load(const Header& header);
/// Values of the counters after the update in progress.
Counters load_pending(const Header& header);
void publish(Header& header, const Counters& counters);
/// The same with `eof` and `error`.
void publish_end(Header& header, bool eof, int os_error);
/// Sets kGapFlag.
void publish_gap(Header& header);

/// Announces that bytes up to position `end` are about to be written; call before the first of them is.
void announce_write(Header& header, uint64_t end);
/// Announces that nothing beyond `end` is being written.
void end_write(Header& header, uint64_t end);

/// Finishes the update a killed writer left half done. False if the counters make no sense.
bool settle(Header& header);

/// Whether the counters are possible for a ring of this kind and capacity.
bool plausible(const Counters& counters, Kind kind, uint64_t capacity);

/// The same as RingView::positions, from the writer's side.
Positions positions_of(const Header& header);

}  // namespace bgtask::ring
