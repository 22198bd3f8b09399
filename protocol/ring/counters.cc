#include "protocol/ring/counters.h"

namespace bgtask::ring {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

// `Fields` is Header or Header::Pending; both name the six counters alike.
template <class Fields>
void store(Fields& to, const Counters& from) {
  to.start.store(from.start, kRelaxed);
  to.consumed.store(from.consumed, kRelaxed);
  to.limit.store(from.limit, kRelaxed);
  to.lost.store(from.lost, kRelaxed);
  to.start_position.store(from.start_position, kRelaxed);
  to.limit_position.store(from.limit_position, kRelaxed);
}

template <class Fields>
Counters fetch(const Fields& from) {
  return {from.start.load(kRelaxed), from.consumed.load(kRelaxed),       from.limit.load(kRelaxed),
          from.lost.load(kRelaxed),  from.start_position.load(kRelaxed), from.limit_position.load(kRelaxed)};
}

// Each fence orders the stores before and after it, for readers in other processes and for a reader or writer
// that finds the file after a kill.
void begin_update(Header& header, const Counters& next) {
  store(header.pending, next);
  std::atomic_thread_fence(std::memory_order_release);
  header.sequence.store(header.sequence.load(kRelaxed) + 1, kRelaxed);
  std::atomic_thread_fence(std::memory_order_release);
}

void end_update(Header& header) {
  header.sequence.store(header.sequence.load(kRelaxed) + 1, std::memory_order_release);
}

}  // namespace

Counters load(const Header& header) {
  return fetch(header);
}

Counters load_pending(const Header& header) {
  return fetch(header.pending);
}

void publish(Header& header, const Counters& counters) {
  begin_update(header, counters);
  store(header, counters);
  end_update(header);
}

void publish_end(Header& header, bool eof, int os_error) {
  begin_update(header, load(header));
  header.eof.store(eof ? 1 : 0, kRelaxed);
  header.error.store(static_cast<uint32_t>(os_error), kRelaxed);
  end_update(header);
}

void publish_gap(Header& header) {
  begin_update(header, load(header));
  header.flags.store(header.flags.load(kRelaxed) | kGapFlag, kRelaxed);
  end_update(header);
}

void announce_write(Header& header, uint64_t end) {
  header.marked.store(0, std::memory_order_relaxed);
  header.write_end.store(end, std::memory_order_release);
  std::atomic_thread_fence(std::memory_order_release);
}

void end_write(Header& header, uint64_t end) {
  header.write_end.store(end, std::memory_order_release);
}

bool settle(Header& header) {
  if (header.sequence.load(std::memory_order_acquire) % 2 != 0) {
    store(header, fetch(header.pending));
    end_update(header);
  }
  const Counters counters = load(header);
  if (!plausible(counters, static_cast<Kind>(header.kind), header.capacity)) return false;
  const uint64_t write_end = header.write_end.load(kRelaxed);
  return write_end >= counters.limit_position && write_end <= counters.limit_position + header.capacity;
}

bool plausible(const Counters& c, Kind kind, uint64_t capacity) {
  if (c.start > c.consumed || c.consumed > c.limit || c.limit > kMaxPosition || c.lost > c.limit)
    return false;
  if (c.start_position > c.limit_position || c.limit_position > kMaxPosition) return false;
  if (c.limit_position - c.start_position > capacity) return false;
  switch (kind) {
    case Kind::kBytes:
      return c.start == c.start_position && c.limit == c.limit_position;
    case Kind::kIndex:
      return c.start * sizeof(IndexRecord) == c.start_position &&
             c.limit * sizeof(IndexRecord) == c.limit_position;
    case Kind::kMessages:
      return c.limit - c.start <= (c.limit_position - c.start_position) / sizeof(MessageFrame);
  }
  return false;
}

Positions positions_of(const Header& header) {
  const Counters c = load(header);
  return {c.start,
          c.consumed,
          c.limit,
          c.lost,
          header.eof.load(kRelaxed) != 0,
          static_cast<int>(header.error.load(kRelaxed)),
          (header.flags.load(kRelaxed) & kGapFlag) != 0};
}

}  // namespace bgtask::ring
