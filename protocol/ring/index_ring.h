// The index: one record for each piece of output taken in, over all streams. The writer's side.
#pragma once

#include <cstdint>

#include "protocol/ring/byte_ring.h"
#include "protocol/ring/format.h"
#include "protocol/ring/message_ring.h"
#include "protocol/ring/storage.h"

namespace bgtask::ring {

/// Positions count records; record number n (from 0) has seq n + 1. The oldest records are overwritten.
/// `consumed` always equals `start`, and `lost` is 0, because an index is not consumed. A record that cannot
/// be stored on a full file system still takes its seq, and its bytes are in the totals of later records.
class IndexRing {
 public:
  /// Continues after the last record in `storage`; call reconcile() then.
  explicit IndexRing(Storage storage);

  /// Bytes of data area for rings of `total_buffer` bytes together.
  static uint64_t capacity_for(uint64_t total_buffer);

  /// Adds records for `length` bytes (several where longer than kMaxRecord) of `stream`, which begin at
  /// `offset` of that stream and at `position` of its ring. Returns the seq of the last record.
  uint64_t append(StreamId stream, uint64_t offset, uint64_t position, uint64_t length, uint64_t time_ns);
  /// The seq the next record will have.
  uint64_t next() const;
  /// For an index that continues a dead supervisor's in memory: no records, next() == next.
  void begin_at(uint64_t next);
  /// Call once after adoption or begin_at, before appending: content of the rings without a record, because
  /// the writer died between ring and index, gets records at `time_ns` (messages at their own time). Content
  /// that is no longer in the rings only enters the totals, so that readers see it as lost.
  void reconcile(const ByteRing& out, const ByteRing& err, const MessageRing& data, uint64_t time_ns);

  const Storage& storage() const { return storage_; }

 private:
  Storage storage_;
  uint64_t totals_[3] = {};  // bytes of stdout, of stderr, messages of data

  void resume();
  void add(StreamId stream, uint64_t offset, uint64_t position, uint32_t length, uint64_t time_ns);
  bool make_room(uint64_t position);
  void reconcile_bytes(StreamId stream, const ByteRing& ring, uint64_t time_ns);
};

}  // namespace bgtask::ring
