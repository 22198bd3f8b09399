#include "protocol/ring/output_reader.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

namespace bgtask::ring {
namespace {

constexpr size_t kBatch = 64;
constexpr uint64_t kRecord = sizeof(IndexRecord);

constexpr StreamId kStreams[] = {StreamId::kStdout, StreamId::kStderr, StreamId::kData};

size_t slot_of(StreamId stream) {
  return static_cast<size_t>(stream) - 1;
}
StreamId stream_of(const IndexRecord& record) {
  return static_cast<StreamId>(record.stream);
}

/// What the record adds to its stream's total: a message is one, however long.
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

bool sound(const IndexRecord& record, uint64_t seq) {
  return record.seq == seq && record.stream >= 1 && record.stream <= 3 && record.length <= kMaxRecord &&
         std::max({record.out, record.err, record.data}) < kMaxPosition;
}

/// Consecutive records, read in batches. The index may overwrite them while they are being read.
class Records {
 public:
  Records(const RingView& index, uint64_t end) : index_(index), end_(end) {}

  /// Record `seq`, or nothing if it is not there (any more) or makes no sense.
  const IndexRecord* at(uint64_t seq) {
    if (seq == 0 || seq >= end_) return nullptr;
    if (seq < first_ || seq >= first_ + count_) fill(seq);
    const IndexRecord& record = batch_[seq - first_];
    return seq >= intact_ && sound(record, seq) ? &record : nullptr;
  }
  /// After at(seq) gave nothing: where to go on.
  uint64_t after_missing(uint64_t seq) const { return std::min(std::max(seq + 1, intact_), end_); }

 private:
  void fill(uint64_t seq) {
    first_ = seq;
    count_ = std::min<uint64_t>(kBatch, end_ - seq);
    const uint64_t position = (seq - 1) * kRecord;
    const uint64_t intact =
        index_.copy_tail(position, count_ * kRecord, reinterpret_cast<std::byte*>(batch_.data()));
    intact_ = (intact + kRecord - 1) / kRecord + 1;
  }

  const RingView& index_;
  const uint64_t end_;
  std::array<IndexRecord, kBatch> batch_;
  uint64_t first_ = 0;
  uint64_t count_ = 0;
  uint64_t intact_ = 0;
};

}  // namespace

/// One call of read on its way.
struct OutputReader::Reading {
  /// Bytes of one stream without a gap that have been seen in the index and are yet to be copied.
  struct Run {
    uint64_t seq = 0;
    uint64_t time_ns = 0;
    StreamId stream = StreamId::kStdout;
    uint64_t begin = 0;
    uint64_t length = 0;
  };

  OutputBatch batch;
  uint32_t streams = 0;
  uint64_t max_bytes = 0;
  Pieces pieces = Pieces::kApart;
  uint64_t bytes = 0;  // in the chunks so far, and in the run
  std::optional<Run> run;
  std::optional<Totals> expected;  // where each stream goes on if nothing is missing
  Totals starts{};                 // of the streams, when reading began

  bool wants(StreamId stream) const { return (streams >> static_cast<uint32_t>(stream) & 1) != 0; }

  /// What lies between the last record and this one has no record any more.
  void count_gap(const IndexRecord& record) {
    const Totals now = totals_before(record);
    if (!expected) expected = now;
    for (StreamId stream : kStreams) {
      const size_t slot = slot_of(stream);
      if (wants(stream) && now[slot] > (*expected)[slot]) batch.lost[slot] += now[slot] - (*expected)[slot];
    }
    expected = totals_after(record);
  }

  bool full(const IndexRecord& record) const {
    const size_t chunks = batch.chunks.size() + (run ? 1 : 0);
    return chunks > 0 && (chunks >= kMaxChunks || bytes + record.length > max_bytes);
  }

  bool continues_run(const IndexRecord& record, uint64_t from) const {
    return run && pieces == Pieces::kJoined && run->stream == stream_of(record) &&
           run->begin + run->length == from && run->length + record.length <= kMaxRead;
  }
};

const RingView& OutputReader::ring_of(StreamId stream) const {
  switch (stream) {
    case StreamId::kStdout:
      return out_;
    case StreamId::kStderr:
      return err_;
    case StreamId::kData:
      break;
  }
  return data_;
}

uint64_t OutputReader::end() const {
  return index_.positions().limit + 1;
}

bool OutputReader::at_eof(uint32_t streams) const {
  for (StreamId stream : kStreams) {
    if ((streams >> static_cast<uint32_t>(stream) & 1) != 0 && !ring_of(stream).positions().eof) return false;
  }
  return true;
}

OutputBatch OutputReader::read(uint64_t cursor, uint32_t streams, uint64_t max_bytes,
                               const std::optional<Totals>& before, Pieces pieces) const {
  Reading reading;
  reading.streams = streams;
  reading.max_bytes = max_bytes;
  reading.pieces = pieces;
  // Before the index: what was taken in before the end of a stream has its record by now.
  const bool eof = at_eof(streams);
  for (StreamId stream : kStreams)
    reading.starts[slot_of(stream)] = ring_of(stream).positions().start;
  const Positions index = index_.positions();
  const uint64_t end = index.limit + 1;
  cursor = std::clamp<uint64_t>(cursor, 1, end);

  Records records(index_, end);
  if (cursor == 1) {
    reading.expected = Totals{};
  } else if (const IndexRecord* last = records.at(cursor - 1)) {
    reading.expected = totals_after(*last);
  } else {
    reading.expected = before;
  }
  bool any = false;
  uint64_t seq = std::max(cursor, index.start + 1);
  for (size_t looked_at = 0; seq < end && looked_at < kMaxRecordsRead; ++looked_at) {
    const IndexRecord* record = records.at(seq);
    if (record == nullptr) {
      seq = records.after_missing(seq);
      continue;
    }
    any = true;
    if (take(reading, *record)) {
      ++seq;
      continue;
    }
    add_run(reading);
    if (!reading.batch.chunks.empty()) break;  // else it was overwritten meanwhile, and there is room again
  }
  add_run(reading);
  if (cursor == 1 && !any && seq == end && end > 1) {
    // No record to count from. If they were overwritten just now, the next call finds others.
    if (index_.positions().limit != index.limit) return OutputBatch{{}, 1, {}, false, {}};
    for (StreamId stream : kStreams) {
      if (reading.wants(stream)) reading.batch.lost[slot_of(stream)] = reading.starts[slot_of(stream)];
    }
    reading.expected = reading.starts;
  }
  reading.batch.next = seq;
  reading.batch.eof = eof && seq == end;
  reading.batch.totals = reading.expected;
  return std::move(reading.batch);
}

// Adds the record to the reply; false if the reply is full and the record is for the next one.
bool OutputReader::take(Reading& reading, const IndexRecord& record) const {
  const StreamId stream = stream_of(record);
  const size_t slot = slot_of(stream);
  const uint64_t from = totals_before(record)[slot];
  const bool wanted = reading.wants(stream);
  const bool gone = from + weight(record) <= reading.starts[slot] && weight(record) > 0;
  if (wanted && !gone && reading.full(record)) return false;
  reading.count_gap(record);
  if (!wanted) return true;
  if (gone) {
    reading.batch.lost[slot] += weight(record);
    return true;
  }
  reading.bytes += record.length;
  if (stream != StreamId::kData && reading.continues_run(record, from)) {
    reading.run->seq = record.seq;
    reading.run->length += record.length;
    return true;
  }
  add_run(reading);
  if (stream == StreamId::kData) {
    add_message(reading, record);
  } else {
    reading.run = {record.seq, record.time_ns, stream, from, record.length};
  }
  return true;
}

void OutputReader::add_message(Reading& reading, const IndexRecord& record) const {
  auto message = message_at(data_, record.position, record.data);
  if (!message || message->data.size() != record.length) {
    reading.batch.lost[slot_of(StreamId::kData)] += 1;
    return;
  }
  reading.batch.chunks.push_back(
      {record.seq, record.time_ns, StreamId::kData, record.data, std::move(message->data)});
}

void OutputReader::add_run(Reading& reading) const {
  if (!reading.run) return;
  const Reading::Run run = *std::exchange(reading.run, std::nullopt);
  ByteRead piece = read_bytes(ring_of(run.stream), run.begin, run.length);
  const uint64_t gone = run.length - std::min<uint64_t>(run.length, piece.data.size());
  reading.batch.lost[slot_of(run.stream)] += gone;
  reading.bytes -= gone;
  if (piece.data.empty()) return;
  reading.batch.chunks.push_back({run.seq, run.time_ns, run.stream, piece.offset, std::move(piece.data)});
}

}  // namespace bgtask::ring
