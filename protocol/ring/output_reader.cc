#include "protocol/ring/output_reader.h"

#include <algorithm>
#include <utility>

#include "protocol/ring/index_records.h"
#include "protocol/ring/output_batch.h"

namespace bgtask::ring {
namespace {

constexpr int kTries = 8;

// Where reading begins, as far as that is known; false where the past of the cursor is not known.
bool find_place(uint64_t cursor, Records& records, const std::optional<OutputPlace>& before,
                const Totals& limits, OutputPlace& place) {
  if (before) place = *before;
  if (is_unrecorded(cursor)) {
    if (!before) place.totals = totals_of(cursor, limits);
    return true;
  }
  if (cursor <= 1) {
    if (!before) place.accounts.fill(LossAccount::from_beginning());
    return true;
  }
  if (const IndexRecord* last = records.at(cursor - 1)) {
    raise(place.totals, totals_after(*last));
    return true;
  }
  return before.has_value();
}

// How many records an adopter makes for what lies between the last record and the limits.
uint64_t records_for(const Totals& from, const Totals& limits) {
  uint64_t records = 0;
  for (size_t slot = 0; slot < limits.size(); ++slot) {
    const uint64_t length = limits[slot] - std::min(limits[slot], from[slot]);
    records += slot == slot_of(StreamId::kData) ? length : (length + kMaxRecord - 1) / kMaxRecord;
  }
  return records;
}

bool any_above(const Totals& totals, const Totals& floor, uint32_t streams) {
  for (StreamId stream : kStreamIds) {
    const size_t slot = slot_of(stream);
    if ((streams >> static_cast<uint32_t>(stream) & 1) != 0 && totals[slot] > floor[slot]) return true;
  }
  return false;
}

/// One pass over the index, from a cursor on.
class Pass {
 public:
  Pass(const RingView& index, const std::array<const RingView*, 3>& rings, uint64_t cursor, uint32_t streams,
       uint64_t max_bytes, Pieces pieces, const std::optional<OutputPlace>& before)
      : cursor_(cursor),
        streams_(streams),
        index_(index),
        builder_(rings, streams, max_bytes,
                 pieces),  // before the index: what came by then has its record now
        counters_(index.positions()),
        end_(counters_.limit + 1),
        records_(index, end_),
        next_(cursor) {
    known_ = find_place(cursor, records_, before, builder_.limits(), place_);
    if (known_) builder_.begin_at(place_);
    const uint64_t begin = is_unrecorded(cursor) ? 1 : std::clamp<uint64_t>(cursor, 1, end_);
    at_end_ = begin == end_;
    seq_ = std::max(begin, counters_.start + 1);
  }

  void read_records() {
    for (size_t looked_at = 0; seq_ < end_ && looked_at < kMaxRecordsRead && !full_; ++looked_at) {
      const IndexRecord* record = records_.at(seq_);
      if (record == nullptr) {
        seq_ = records_.after_missing(seq_);
        continue;
      }
      any_ = true;
      if (!std::exchange(known_, true)) {
        place_.totals = totals_before(*record);
        builder_.begin_at(place_);
      }
      full_ = !builder_.add(*record);
      if (!full_) next_ = ++seq_;
    }
  }

  /// All records were overwritten meanwhile: there are others now.
  bool overtaken() const {
    return !any_ && !at_end_ && !forgotten() && counters_.limit > 0 &&
           index_.positions().limit != counters_.limit;
  }

  OutputBatch finish(Tail tail) {
    if (!known_) {
      place_.totals = builder_.limits();
      builder_.begin_at(place_);
    }
    const bool through = !full_ && seq_ == end_;
    if (!full_) next_ = seq_;
    if (through) add_tail(tail);
    if (full_ && builder_.stop() == BatchBuilder::Stop::kBeforeRecord) next_ = seq_;
    const bool within = full_ && builder_.stop() == BatchBuilder::Stop::kWithinUnrecorded;
    OutputBatch batch = builder_.finish();
    batch.next = within ? unrecorded_cursor(batch.place->totals) : next_;
    batch.eof = through && !full_ && builder_.eof();
    batch.ahead = through && !full_ && any_above(builder_.limits(), batch.place->totals, streams_);
    return batch;
  }

 private:
  /// Nothing in the index says how far it came: no record is left of it.
  bool forgotten() const { return counters_.start == counters_.limit && counters_.limit > 0; }

  void add_tail(Tail tail) {
    const IndexRecord* last = records_.at(end_ - 1);
    const Totals recorded = last != nullptr ? totals_after(*last) : builder_.starts();
    const bool given = cursor_ > end_ && !is_unrecorded(cursor_);
    if ((tail == Tail::kGiven && !given) || forgotten()) {
      full_ = !builder_.add_unrecorded(builder_.limits());
    }
    // After these comes the cursor that an adopter's records would lead to.
    if (tail == Tail::kGiven && !full_) next_ += records_for(recorded, builder_.limits());
  }

  const uint64_t cursor_;
  const uint32_t streams_;
  const RingView& index_;
  BatchBuilder builder_;
  const Positions counters_;
  const uint64_t end_;
  Records records_;
  OutputPlace place_;
  bool known_ = false;  // the place of the cursor
  bool at_end_ = false;
  bool any_ = false;  // record was found
  bool full_ = false;
  uint64_t seq_ = 0;   // of the next record
  uint64_t next_ = 0;  // after the last record added
};

}  // namespace

bool OutputBatch::empty() const {
  const auto none = [](const uint64_t(&counts)[3]) {
    return std::all_of(std::begin(counts), std::end(counts), [](uint64_t count) { return count == 0; });
  };
  return chunks.empty() && none(lost) && none(taken);
}

uint64_t OutputReader::end() const {
  return index_.positions().limit + 1;
}

bool OutputReader::at_eof(uint32_t streams) const {
  for (StreamId stream : kStreamIds) {
    const bool wanted = (streams >> static_cast<uint32_t>(stream) & 1) != 0;
    if (wanted && !rings_[slot_of(stream)]->positions().eof) return false;
  }
  return true;
}

OutputBatch OutputReader::read(uint64_t cursor, uint32_t streams, uint64_t max_bytes,
                               const std::optional<OutputPlace>& before, Pieces pieces, Tail tail) const {
  for (int attempt = 0;; ++attempt) {
    Pass pass(index_, rings_, cursor, streams, max_bytes, pieces, before);
    pass.read_records();
    if (pass.overtaken() && attempt < kTries) continue;
    return pass.finish(tail);
  }
}

}  // namespace bgtask::ring
