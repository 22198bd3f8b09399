// The ring of a byte stream (stdout, stderr): the writer's side.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <span>

#include "protocol/ring/format.h"
#include "protocol/ring/storage.h"
#include "protocol/wire/result.h"

namespace bgtask::ring {

enum class Overflow { kDrop, kBlock };

/// Settings of one stream's ring.
struct Geometry {
  uint64_t capacity = 1 << 20;  ///< bytes; rounded up to a whole page
  uint64_t retain = 0;          ///< consumed units that stay readable
  Overflow overflow = Overflow::kDrop;
};

/// Keeps the last `capacity` bytes of a stream whose offsets never restart.
class ByteRing {
 public:
  /// Continues from the counters in `storage`. Bytes that a killed writer may have been overwriting are
  /// dropped and, if unconsumed, counted as lost.
  ByteRing(Storage storage, Geometry geometry);

  struct Intake {
    enum class Kind {
      kBytes,    ///< `length` bytes were taken in at `offset`
      kNothing,  ///< nothing to read now (EAGAIN)
      kFull,     ///< overflow is kBlock and there is no room: read nothing, wait for a consumer
      kNoSpace,  ///< overflow is kBlock and the file system is full: as kFull, `error` says why
      kEof,
      kFailed,  ///< reading failed with `error`
    } kind;
    uint64_t offset = 0;
    size_t length = 0;
    int error = 0;
  };
  /// One read of at most `max` bytes from the non-blocking `fd`, straight into the ring (EINTR retried). With
  /// kDrop never more than a quarter of the ring at once, so that most of it stays readable meanwhile.
  /// kDrop: overwrites the oldest bytes and counts the unconsumed ones; on a full file system it drops
  /// retained bytes, in the end all of them, rather than stall the child. The caller turns kEof and kFailed
  /// into set_eof / set_error: a stream may have several sources.
  Intake take_in(int fd, size_t max);

  /// The same from memory: all of it with kDrop, what fits with kBlock (kFull or kNoSpace if nothing does).
  /// For tests and for streams that do not come from a descriptor.
  Intake append(std::span<const std::byte> bytes);

  /// Bytes that can be taken in without overwriting anything unconsumed.
  uint64_t room() const;
  /// Marks everything below `end` (≤ limit) as consumed; the last `retain` consumed bytes stay readable.
  void consume(uint64_t end);
  /// As consume, but nothing below `end` stays readable.
  void discard(uint64_t end);
  void set_eof(bool eof);
  void set_error(int os_error);
  void set_gap();  ///< from now on readers are told that output may be missing
  /// Begins at `limit` with nothing readable and `lost` bytes counted: for a memory ring that continues a
  /// dead supervisor's ring.
  void begin_at(uint64_t limit, uint64_t lost = 0);

  Positions positions() const;
  uint64_t capacity() const;
  const Storage& storage() const { return storage_; }

 private:
  Storage storage_;
  Geometry geometry_;

  uint64_t make_room(uint64_t want, int* os_error);
  bool give_up_oldest();
  uint64_t worth_reserving(uint64_t waiting, uint64_t want) const;
  void give_up_below(uint64_t write_end);
  Intake take_in_lost(int fd, size_t max);
  void advance(uint64_t length, bool kept);
  void take_up_to(uint64_t consumed, uint64_t start);
};

}  // namespace bgtask::ring
