// One call of OutputReader::read on its way: puts chunks together and counts what is missing.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "protocol/ring/index_records.h"
#include "protocol/ring/output_reader.h"
#include "protocol/ring/ring_view.h"

namespace bgtask::ring {

class BatchBuilder {
 public:
  /// Looks at the rings' counters. They must outlive it.
  BatchBuilder(const std::array<const RingView*, 3>& rings, uint32_t streams, uint64_t max_bytes,
               Pieces pieces);

  /// What the counters said.
  Totals starts() const;
  Totals limits() const;
  bool eof() const;  ///< all chosen streams have ended

  /// Once, before anything is added.
  void begin_at(const OutputPlace& place) { place_ = place; }
  const Totals& totals() const { return place_.totals; }

  /// Adds what lies before the record and has none, then the record. False if the batch is full: then the
  /// record is for the next one, and perhaps some of what lies before it.
  bool add(const IndexRecord& record);
  /// Adds what there is up to `to` without a record. False if the batch is full.
  bool add_unrecorded(const Totals& to);
  /// Where a batch stops that is full.
  enum class Stop {
    kBeforeUnrecorded,  ///< before the first of what has no record
    kWithinUnrecorded,
    kBeforeRecord,
  };
  /// After add…() gave false.
  Stop stop() const { return stop_; }

  OutputBatch finish();

 private:
  /// Bytes of one stream without a gap that have been seen in the index and are yet to be copied.
  struct Run {
    uint64_t seq = 0;
    uint64_t time_ns = 0;
    StreamId stream = StreamId::kStdout;
    uint64_t begin = 0;
    uint64_t length = 0;
  };

  bool wants(StreamId stream) const;
  bool full(uint64_t more);
  bool continues_run(const IndexRecord& record, uint64_t from) const;
  bool add_up_to(StreamId stream, uint64_t end);
  void add_block(StreamId stream, uint64_t end);
  void add_messages(uint64_t end);
  void add_message(const IndexRecord& record);
  void flush_run();
  void count_missing(StreamId stream, uint64_t from, uint64_t count);
  uint64_t seq_here() const;

  const std::array<const RingView*, 3>& rings_;
  const uint32_t streams_;
  const uint64_t max_bytes_;
  const Pieces pieces_;
  std::array<Positions, 3> seen_;
  OutputPlace place_;
  OutputBatch batch_;
  uint64_t bytes_ = 0;  // in the chunks so far, and in the run
  std::optional<Run> run_;
  Stop stop_ = Stop::kBeforeUnrecorded;
};

}  // namespace bgtask::ring
