#include "protocol/ring/index_ring.h"

#include <algorithm>
#include <utility>

#include "protocol/ring/counters.h"

namespace bgtask::ring {
namespace {

constexpr uint64_t kRecord = sizeof(IndexRecord);
constexpr uint64_t kLeastIndex = 64 * 1024;
constexpr uint64_t kMostIndex = 64 * 1024 * 1024;

size_t slot_of(StreamId stream) {
  return static_cast<size_t>(stream) - 1;
}

Counters counters_at(uint64_t start, uint64_t limit) {
  return {start, start, limit, 0, start * kRecord, limit * kRecord};
}

}  // namespace

// Half of the buffers: pieces of 128 bytes on average keep their records as long as their bytes. The file is
// sparse, so a task with few or large pieces does not pay for it.
uint64_t IndexRing::capacity_for(uint64_t total_buffer) {
  return std::clamp((total_buffer / 2 + kPage - 1) / kPage * kPage, kLeastIndex, kMostIndex);
}

IndexRing::IndexRing(Storage storage) : storage_(std::move(storage)) {
  resume();
}

void IndexRing::resume() {
  Header& header = storage_.header();
  Counters counters = load(header);
  const uint64_t write_end = header.write_end.load(std::memory_order_relaxed);
  uint64_t start = counters.start;
  if (write_end > storage_.capacity()) {
    start = std::max(start, (write_end - storage_.capacity() + kRecord - 1) / kRecord);
  }
  start = std::min(start, counters.limit);
  if (start < counters.limit) {
    IndexRecord last;
    storage_.read(counters.limit_position - kRecord, &last, sizeof last);
    const bool sound = last.seq == counters.limit && last.stream >= 1 && last.stream <= 3;
    if (sound) {
      totals_[0] = last.out;
      totals_[1] = last.err;
      totals_[2] = last.data;
      totals_[last.stream - 1] += last.stream == static_cast<uint32_t>(StreamId::kData) ? 1 : last.length;
    } else {
      start = counters.limit;
    }
  }
  publish(header, counters_at(start, counters.limit));
  end_write(header, counters.limit_position);
}

uint64_t IndexRing::append(StreamId stream, uint64_t offset, uint64_t position, uint64_t length,
                           uint64_t time_ns) {
  if (stream == StreamId::kData) {
    add(stream, offset, position, static_cast<uint32_t>(length), time_ns);
    return next() - 1;
  }
  while (length > 0) {
    const uint64_t piece = std::min<uint64_t>(length, kMaxRecord);
    add(stream, offset, position, static_cast<uint32_t>(piece), time_ns);
    offset += piece;
    position += piece;
    length -= piece;
  }
  return next() - 1;
}

void IndexRing::add(StreamId stream, uint64_t offset, uint64_t position, uint32_t length, uint64_t time_ns) {
  Header& header = storage_.header();
  uint64_t& total = totals_[slot_of(stream)];
  total = offset;
  const uint64_t number = load(header).limit;
  const uint64_t place = number * kRecord;
  const bool kept = make_room(place);
  if (kept) {
    announce_write(header, place + kRecord);
    const IndexRecord record{
        number + 1, time_ns, totals_[0], totals_[1], totals_[2], position, static_cast<uint32_t>(stream),
        length,     0};
    storage_.write(place, &record, sizeof record);
  } else {
    end_write(header, place + kRecord);
  }
  total += stream == StreamId::kData ? 1 : length;
  const uint64_t slots = storage_.capacity() / kRecord;
  const uint64_t oldest = number + 1 > slots ? number + 1 - slots : 0;
  publish(header, counters_at(kept ? std::max(load(header).start, oldest) : number + 1, number + 1));
}

// Makes space for one record; on a full file system it drops the oldest quarter of the records, in the end
// all.
bool IndexRing::make_room(uint64_t position) {
  Header& header = storage_.header();
  while (storage_.try_reserve(position, position + kRecord) != 0) {
    const Counters counters = load(header);
    if (counters.start == counters.limit) return false;
    constexpr uint64_t kRecordsInPage = kPage / kRecord;
    const uint64_t step = std::max((counters.limit - counters.start) / 4, kRecordsInPage);
    const uint64_t start =
        std::min((counters.start + step) / kRecordsInPage * kRecordsInPage, counters.limit);
    publish(header, counters_at(start, counters.limit));
    storage_.release_now(start * kRecord);
  }
  return true;
}

uint64_t IndexRing::next() const {
  return load(storage_.header()).limit + 1;
}

void IndexRing::begin_at(uint64_t next) {
  const uint64_t number = std::max<uint64_t>(next, 1) - 1;
  end_write(storage_.header(), number * kRecord);
  publish(storage_.header(), counters_at(number, number));
  storage_.release_now(number * kRecord);
}

void IndexRing::reconcile(const ByteRing& out, const ByteRing& err, const MessageRing& data,
                          uint64_t time_ns) {
  reconcile_bytes(StreamId::kStdout, out, time_ns);
  reconcile_bytes(StreamId::kStderr, err, time_ns);
  uint64_t& total = totals_[slot_of(StreamId::kData)];
  const uint64_t limit = data.positions().limit;
  for (uint64_t number = std::max(total, data.positions().start); number < limit; ++number) {
    if (const auto message = data.locate(number)) {
      append(StreamId::kData, number, message->position, message->length, message->time_ns);
    }
  }
  total = limit;
}

void IndexRing::reconcile_bytes(StreamId stream, const ByteRing& ring, uint64_t time_ns) {
  uint64_t& total = totals_[slot_of(stream)];
  const Positions positions = ring.positions();
  const uint64_t from = std::max(total, positions.start);
  if (from < positions.limit) append(stream, from, from, positions.limit - from, time_ns);
  total = positions.limit;
}

}  // namespace bgtask::ring
