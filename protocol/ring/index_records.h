// The index as its readers see it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "protocol/ring/format.h"
#include "protocol/ring/output_cursor.h"
#include "protocol/ring/ring_view.h"

namespace bgtask::ring {

inline constexpr StreamId kStreamIds[] = {StreamId::kStdout, StreamId::kStderr, StreamId::kData};

/// Where a stream stands in Totals.
constexpr size_t slot_of(StreamId stream) {
  return static_cast<size_t>(stream) - 1;
}
constexpr StreamId stream_of(const IndexRecord& record) {
  return static_cast<StreamId>(record.stream);
}
/// What the record adds to its stream's total: a message is one, however long.
uint64_t weight(const IndexRecord& record);
Totals totals_before(const IndexRecord& record);
Totals totals_after(const IndexRecord& record);
/// Makes each total at least what it is in `floor`.
void raise(Totals& totals, const Totals& floor);

/// Consecutive records, read in batches. The index may overwrite them while they are being read.
class Records {
 public:
  /// `end` is the seq after the last one.
  Records(const RingView& index, uint64_t end) : index_(index), end_(end) {}

  /// Record `seq`, or nothing if it is not there (any more) or makes no sense. Valid until the next call.
  const IndexRecord* at(uint64_t seq);
  /// After at(seq) gave nothing: where to go on.
  uint64_t after_missing(uint64_t seq) const;

 private:
  static constexpr size_t kBatch = 64;
  void fill(uint64_t seq);

  const RingView& index_;
  const uint64_t end_;
  std::array<IndexRecord, kBatch> batch_;
  uint64_t first_ = 0;
  uint64_t count_ = 0;
  uint64_t intact_ = 0;
};

}  // namespace bgtask::ring
