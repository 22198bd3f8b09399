#include "protocol/ring/index_records.h"

#include <algorithm>

namespace bgtask::ring {
namespace {

constexpr uint64_t kRecord = sizeof(IndexRecord);

bool sound(const IndexRecord& record, uint64_t seq) {
  return record.seq == seq && record.stream >= 1 && record.stream <= 3 && record.length <= kMaxRecord &&
         std::max({record.out, record.err, record.data}) < kMaxPosition;
}

}  // namespace

uint64_t weight(const IndexRecord& record) {
  return stream_of(record) == StreamId::kData ? 1 : record.length;
}

Totals totals_before(const IndexRecord& record) {
  return {record.out, record.err, record.data};
}

Totals totals_after(const IndexRecord& record) {
  Totals totals = totals_before(record);
  totals[slot_of(stream_of(record))] += weight(record);
  return totals;
}

void raise(Totals& totals, const Totals& floor) {
  for (size_t slot = 0; slot < totals.size(); ++slot)
    totals[slot] = std::max(totals[slot], floor[slot]);
}

const IndexRecord* Records::at(uint64_t seq) {
  if (seq == 0 || seq >= end_) return nullptr;
  if (seq < first_ || seq >= first_ + count_) fill(seq);
  const IndexRecord& record = batch_[seq - first_];
  return seq >= intact_ && sound(record, seq) ? &record : nullptr;
}

uint64_t Records::after_missing(uint64_t seq) const {
  return std::min(std::max(seq + 1, intact_), end_);
}

void Records::fill(uint64_t seq) {
  first_ = seq;
  count_ = std::min<uint64_t>(kBatch, end_ - seq);
  const uint64_t position = (seq - 1) * kRecord;
  const uint64_t intact =
      index_.copy_tail(position, count_ * kRecord, reinterpret_cast<std::byte*>(batch_.data()));
  intact_ = (intact + kRecord - 1) / kRecord + 1;
}

}  // namespace bgtask::ring
