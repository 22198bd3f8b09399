// The ring of data messages: the writer's side. Boundaries are kept, empty messages too.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "protocol/ring/byte_ring.h"
#include "protocol/ring/format.h"
#include "protocol/ring/storage.h"
#include "protocol/wire/result.h"

namespace bgtask::ring {

/// Keeps the last messages that fit into `capacity` bytes, each with a frame of 24 bytes and padded to 8.
/// Positions count messages. The capacity is at least room for one message of kMaxMessage.
class MessageRing {
 public:
  /// Continues from the messages in `storage`; with invalid frames it begins empty and counts the unconsumed
  /// messages as lost.
  MessageRing(Storage storage, Geometry geometry);

  /// The capacity used for a requested one: rounded up to pages, at least one maximal message and its frame.
  static uint64_t capacity_for(uint64_t wished);

  struct Appended {
    bool kept;          ///< false: no room or space (overflow kBlock), or too long: nothing was added
    uint64_t number;    ///< of the message
    uint64_t position;  ///< physical position of its frame, for the index record
  };
  /// Adds one message of at most kMaxMessage bytes. kDrop: drops the oldest and counts unconsumed ones. On a
  /// full file system a message that cannot be kept is counted as lost.
  Appended append(std::span<const std::byte> message, uint64_t time_ns);

  /// Whether a message of `length` bytes can be added without dropping an unconsumed one.
  bool has_room(size_t length) const;
  void consume(uint64_t end);  ///< in messages
  void discard(uint64_t end);
  void set_eof(bool eof);
  void set_error(int os_error);
  void set_gap();  ///< from now on readers are told that output may be missing
  void begin_at(uint64_t limit, uint64_t lost = 0);

  struct Located {
    uint64_t position;  ///< of the frame
    uint64_t time_ns;
    uint32_t length;
  };
  /// Position of message `number`, if it is still there. Walks the frames: for repairing an index, not for
  /// reading.
  std::optional<Located> locate(uint64_t number) const;

  Positions positions() const;
  uint64_t capacity() const;
  const Storage& storage() const { return storage_; }

 private:
  Storage storage_;
  Geometry geometry_;
  uint64_t consumed_position_ = 0;  // where message `consumed` begins

  MessageFrame frame_at(uint64_t position) const;
  std::optional<uint64_t> walk(uint64_t position, uint64_t from, uint64_t to, uint64_t end) const;
  void resume();
  bool make_room(uint64_t need);
  bool drop_until(uint64_t start_position, uint64_t must_keep);
  void take_up_to(uint64_t consumed, uint64_t start);
};

}  // namespace bgtask::ring
