// The reader's side of every ring: read-only, from any process, without waking the supervisor.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocol/io/unique_fd.h"
#include "protocol/ring/format.h"
#include "protocol/ring/storage.h"
#include "protocol/wire/result.h"

namespace bgtask::ring {

/// How a reader accesses a ring file. With kMap the page of counters is mapped, so that reading them costs no
/// system call. A file of another user is read with pread only, because its owner could truncate it under a
/// mapping and thereby kill the reader. Readers never map the data area: on tmpfs, touching a released page
/// allocates it again, or raises SIGBUS on a full file system.
enum class Access { kMap, kPread };

/// A consistent read-only view of one ring. Not thread-safe.
class RingView {
 public:
  /// Opens and checks `name` in `dir_fd` (no symlinks, regular file, magic, version, checksum, size).
  /// Unknown newer version: version_mismatch.
  static Result<RingView> open(int dir_fd, const char* name, Kind kind, Access access);
  /// A view of the writer's own mapping; `storage` must outlive it.
  static RingView over(const Storage& storage);

  RingView(RingView&&) noexcept;
  RingView& operator=(RingView&&) noexcept;
  ~RingView();

  Kind kind() const;
  uint64_t capacity() const;
  /// Whether the file still has a name; false once its task has been deleted.
  bool linked() const;
  /// A consistent set of all counters. The sequence lock is retried a bounded number of times, so a writer
  /// killed during an update cannot hold up a reader.
  Positions positions() const;
  /// Copies [position, position + length) of the data area; false if any part is missing, was overwritten, or
  /// may be being overwritten now.
  bool copy(uint64_t position, size_t length, std::byte* out) const;
  /// The same, but returns the position from which the copy is valid; position + length if none of it is.
  uint64_t copy_tail(uint64_t position, size_t length, std::byte* out) const;
  /// start_position and limit_position, consistent with positions().
  struct Physical {
    Positions counters;
    uint64_t start_position, limit_position, write_end;
  };
  Physical physical() const;
  /// For a reader whose bytes the writer may be overwriting: waits, longer with a higher `attempt`, and
  /// returns whether to retry. After 20 ms the bytes count as gone, and for a second no further wait happens,
  /// because a hostile file may make every piece look as if it were being written.
  bool wait_for_writer(int attempt) const;

 private:
  RingView() = default;
  bool load_counters(Physical* out) const;
  static Physical load_mapped(const Header& header);
  Physical clamped(Physical raw) const;
  bool read_data(uint64_t position, size_t length, std::byte* out) const;
  uint64_t first_intact() const;

  io::UniqueFd fd_;
  const std::byte* base_ = nullptr;  // the header; the data area too in the writer's own mapping, without fd_
  size_t mapped_ = 0;                // bytes to unmap; 0 with the writer's mapping or pread
  uint64_t capacity_ = 0;
  Kind kind_ = Kind::kBytes;
  mutable int64_t gave_up_ns_ = 0;  // last time wait_for_writer() gave up, monotonic clock
};

/// Longest piece that one read_bytes returns, even if the header claims more.
inline constexpr uint64_t kMaxRead = 64 * 1024 * 1024;

/// Result of a read of a byte stream. `missed` of the requested bytes are gone; `data` begins at `offset`,
/// and the next read begins at offset + data.size().
struct ByteRead {
  uint64_t offset = 0;
  std::string data;
  uint64_t missed = 0;
  Positions positions;
};
/// Reads the available part of [offset, offset + count), at most kMaxRead bytes. Waits up to 20 ms while the
/// writer may be overwriting the oldest of these bytes and may still leave them intact.
ByteRead read_bytes(const RingView& ring, uint64_t offset, uint64_t count);

struct Message {
  uint64_t offset = 0;  ///< number of the message
  uint64_t time_ns = 0;
  std::string data;
};
struct MessageRead {
  uint64_t offset = 0;  ///< of the first message given
  std::vector<Message> messages;
  uint64_t missed = 0;
  Positions positions;
};
/// Reads messages [offset, offset + count), at most `max_bytes` together (at least one message if there is
/// one). The next read begins at offset + messages.size(). Invalid frames, and those after them, count as
/// overwritten.
MessageRead read_messages(const RingView& ring, uint64_t offset, uint64_t count, uint64_t max_bytes);

/// The message whose frame lies at `position`; nothing if the frame is not that of message `number`.
std::optional<Message> message_at(const RingView& ring, uint64_t position, uint64_t number);

}  // namespace bgtask::ring
