#include "protocol/ring/output_batch.h"

#include <algorithm>
#include <utility>

namespace bgtask::ring {
namespace {

constexpr size_t kMessages = slot_of(StreamId::kData);
/// The oldest record is the next to be overwritten: a batch ends some way behind it, or before.
constexpr uint64_t kRecordsWorth = 32 * 1024;

uint64_t round_down(uint64_t value, uint64_t unit) {
  return value - value % unit;
}

}  // namespace

BatchBuilder::BatchBuilder(const std::array<const RingView*, 3>& rings, uint32_t streams, uint64_t max_bytes,
                           Pieces pieces)
    : rings_(rings), streams_(streams), max_bytes_(max_bytes), pieces_(pieces) {
  for (size_t slot = 0; slot < rings.size(); ++slot)
    seen_[slot] = rings[slot]->positions();
}

Totals BatchBuilder::starts() const {
  return {seen_[0].start, seen_[1].start, seen_[2].start};
}

Totals BatchBuilder::limits() const {
  return {seen_[0].limit, seen_[1].limit, seen_[2].limit};
}

bool BatchBuilder::eof() const {
  return std::all_of(std::begin(kStreamIds), std::end(kStreamIds),
                     [this](StreamId stream) { return !wants(stream) || seen_[slot_of(stream)].eof; });
}

bool BatchBuilder::wants(StreamId stream) const {
  return (streams_ >> static_cast<uint32_t>(stream) & 1) != 0;
}

// Whether so many more bytes are for the next batch. What was to be copied may be gone: then there is room.
bool BatchBuilder::full(uint64_t more) {
  const auto is_full = [&] {
    const size_t chunks = batch_.chunks.size() + (run_ ? 1 : 0);
    return chunks > 0 && (chunks >= kMaxChunks || bytes_ + more > max_bytes_);
  };
  if (!is_full()) return false;
  flush_run();
  return is_full();
}

bool BatchBuilder::continues_run(const IndexRecord& record, uint64_t from) const {
  return run_ && pieces_ == Pieces::kJoined && run_->stream == stream_of(record) &&
         run_->begin + run_->length == from && run_->length + record.length <= kMaxRead;
}

bool BatchBuilder::add(const IndexRecord& record) {
  if (!add_unrecorded(totals_before(record))) return false;
  const StreamId stream = stream_of(record);
  const size_t slot = slot_of(stream);
  const uint64_t end = totals_after(record)[slot];
  uint64_t& at = place_.totals[slot];
  const uint64_t begin = std::max(at, totals_before(record)[slot]);
  if (begin >= end && weight(record) > 0) return true;  // given already, when it had no record yet
  if (!wants(stream)) {
    at = end;
    return true;
  }
  if (end <= seen_[slot].start && weight(record) > 0) {
    flush_run();
    at = end;
    count_missing(stream, begin, end - begin);
    return true;
  }
  const uint64_t length = stream == StreamId::kData ? record.length : end - begin;
  if (full(length)) {
    stop_ = Stop::kBeforeRecord;
    return false;
  }
  at = end;
  bytes_ += length;
  if (stream == StreamId::kData) {
    flush_run();
    add_message(record);
  } else if (continues_run(record, begin)) {
    run_->seq = record.seq;
    run_->length += length;
  } else {
    flush_run();
    run_ = {record.seq, record.time_ns, stream, begin, length};
  }
  return true;
}

void BatchBuilder::add_message(const IndexRecord& record) {
  auto message = message_at(*rings_[kMessages], record.position, record.data);
  if (!message || message->data.size() != record.length) {
    bytes_ -= record.length;
    count_missing(StreamId::kData, record.data, 1);
    return;
  }
  batch_.chunks.push_back(
      {record.seq, record.time_ns, StreamId::kData, record.data, std::move(message->data)});
}

void BatchBuilder::flush_run() {
  if (!run_) return;
  const Run run = *std::exchange(run_, std::nullopt);
  ByteRead piece = read_bytes(*rings_[slot_of(run.stream)], run.begin, run.length);
  const uint64_t gone = run.length - std::min<uint64_t>(run.length, piece.data.size());
  count_missing(run.stream, run.begin, gone);
  bytes_ -= gone;
  if (piece.data.empty()) return;
  batch_.chunks.push_back({run.seq, run.time_ns, run.stream, piece.offset, std::move(piece.data)});
}

// In whole units first, stream after stream, so that the cursor says where it stops. The rests, which are
// short, come together.
bool BatchBuilder::add_unrecorded(const Totals& to) {
  uint64_t rests = 0;
  bool any = false;
  stop_ = Stop::kBeforeUnrecorded;
  for (StreamId stream : kStreamIds) {
    const size_t slot = slot_of(stream);
    if (!wants(stream) || to[slot] <= place_.totals[slot]) continue;
    any = true;
    rests += to[slot] - std::max(place_.totals[slot], round_down(to[slot], kUnrecordedUnits[slot]));
  }
  if (any) {
    flush_run();
    for (StreamId stream : kStreamIds) {
      const size_t slot = slot_of(stream);
      if (wants(stream) && !add_up_to(stream, round_down(to[slot], kUnrecordedUnits[slot]))) return false;
    }
    if (rests > 0 && full(rests + kRecordsWorth)) return false;
    for (StreamId stream : kStreamIds) {
      const size_t slot = slot_of(stream);
      if (wants(stream) && place_.totals[slot] < to[slot]) add_block(stream, to[slot]);
    }
  }
  raise(place_.totals, to);
  return true;
}

bool BatchBuilder::add_up_to(StreamId stream, uint64_t end) {
  const size_t slot = slot_of(stream);
  uint64_t& at = place_.totals[slot];
  while (at < end) {
    const uint64_t unit = kUnrecordedUnits[slot];
    const uint64_t begin = std::min(std::max(at, seen_[slot].start), end);
    const uint64_t one =
        std::min(stream == StreamId::kData ? begin + 1 : round_down(begin + kMaxRecord, unit), end);
    if (full(one - begin)) return false;
    stop_ = Stop::kWithinUnrecorded;
    count_missing(stream, at, begin - at);
    at = begin;
    if (begin == end) break;
    if (stream == StreamId::kData) {
      add_messages(end);
      continue;
    }
    const uint64_t room = std::min(max_bytes_ - std::min(max_bytes_, bytes_), kMaxRead);
    const uint64_t many = std::min(round_down(begin + std::min(room, end - begin), unit), end);
    add_block(stream, pieces_ == Pieces::kJoined ? std::max(one, many) : one);
  }
  return true;
}

// Bytes up to `end`, in one chunk.
void BatchBuilder::add_block(StreamId stream, uint64_t end) {
  const size_t slot = slot_of(stream);
  const uint64_t begin = std::exchange(place_.totals[slot], end);
  ByteRead piece = read_bytes(*rings_[slot], begin, end - begin);
  count_missing(stream, begin, end - begin - std::min<uint64_t>(end - begin, piece.data.size()));
  if (piece.data.empty()) return;
  bytes_ += piece.data.size();
  batch_.chunks.push_back({seq_here(), 0, stream, piece.offset, std::move(piece.data)});
}

// Some of the messages up to `end`; at least one is given or counted. They carry their times.
void BatchBuilder::add_messages(uint64_t end) {
  uint64_t& at = place_.totals[kMessages];
  const uint64_t most = std::min<uint64_t>(end - at, kMaxChunks - batch_.chunks.size());
  const uint64_t room = max_bytes_ - std::min(max_bytes_, bytes_);
  MessageRead read = read_messages(*rings_[kMessages], at, most, room);
  const uint64_t missed = read.messages.empty() ? std::max<uint64_t>(read.missed, 1) : read.missed;
  count_missing(StreamId::kData, at, missed);
  at += missed;
  for (Message& message : read.messages) {
    at = message.offset + 1;
    bytes_ += message.data.size();
    batch_.chunks.push_back(
        {seq_here(), message.time_ns, StreamId::kData, message.offset, std::move(message.data)});
  }
}

// The seq of a chunk without a record that ends here: the cursor after it, less one.
uint64_t BatchBuilder::seq_here() const {
  return unrecorded_cursor(place_.totals) - 1;
}

void BatchBuilder::count_missing(StreamId stream, uint64_t from, uint64_t count) {
  if (count == 0) return;
  const size_t slot = slot_of(stream);
  const auto missing = place_.accounts[slot].count(from, count, rings_[slot]->positions());
  batch_.lost[slot] += missing.lost;
  batch_.taken[slot] += missing.taken;
}

OutputBatch BatchBuilder::finish() {
  flush_run();
  for (StreamId stream : kStreamIds) {
    const size_t slot = slot_of(stream);
    if (wants(stream)) place_.accounts[slot].settle(place_.totals[slot], rings_[slot]->positions());
  }
  batch_.place = place_;
  return std::move(batch_);
}

}  // namespace bgtask::ring
