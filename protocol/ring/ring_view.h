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

/// How a reader gets at a ring file. With kMap the page of counters is mapped, so that looking at them costs
/// no system call; a file that somebody else owns is read with pread alone, because its owner could truncate
/// it under a mapping and thereby kill the reader. The data area of a file is never mapped by a reader: on
/// tmpfs touching a page that was given back would allocate it again, or kill where the file system is full.
enum class Access { kMap, kPread };

/// A consistent read-only look at one ring. Cheap to copy positions from; not thread-safe.
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
  /// Whether the file still has a name: not so once its task has been deleted.
  bool linked() const;
  /// All counters of one moment (sequence lock; bounded tries, so a writer killed in the middle of an update
  /// cannot hold a reader up).
  Positions positions() const;
  /// Copies [position, position + length) of the data area; false if any of it is not there, was overwritten
  /// meanwhile, or may be being overwritten just now.
  bool copy(uint64_t position, size_t length, std::byte* out) const;
  /// The same, but says from which position on the copy is right; position + length if none of it is.
  uint64_t copy_tail(uint64_t position, size_t length, std::byte* out) const;
  /// start_position and limit_position, consistent with positions().
  struct Physical {
    Positions counters;
    uint64_t start_position, limit_position, write_end;
  };
  Physical physical() const;
  /// For a reader who found that the writer may be writing over what it read: waits a little (the more, the
  /// higher `attempt` is) and says whether to look again. What is being written for 20 ms is believed to stay
  /// so, and for a second nobody waits again: a file may be made so that every piece of it seems to be being
  /// written.
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
  size_t mapped_ = 0;                // bytes to unmap; 0 when somebody else's mapping or pread
  uint64_t capacity_ = 0;
  Kind kind_ = Kind::kBytes;
  mutable int64_t gave_up_ns_ = 0;  // when wait_for_writer() did last, by the monotonic clock
};

/// Longest piece one read_bytes gives, whatever a header claims to hold.
inline constexpr uint64_t kMaxRead = 64 * 1024 * 1024;

/// What a read of a byte stream gives. `missed` of the bytes asked for are gone; `data` begins at `offset`,
/// and the next read begins at offset + data.size().
struct ByteRead {
  uint64_t offset = 0;
  std::string data;
  uint64_t missed = 0;
  Positions positions;
};
/// [offset, offset + count) as far as it is there; nothing past the end, and at most kMaxRead of it. Waits up
/// to 20 ms where the writer may be writing over the oldest of these bytes just now and may yet leave them.
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
/// Messages [offset, offset + count), at most `max_bytes` of them together (at least one if there is one).
/// Goes on at offset + messages.size(). Frames that make no sense are gone like overwritten ones, and so are
/// those after them, which cannot be found any more.
MessageRead read_messages(const RingView& ring, uint64_t offset, uint64_t count, uint64_t max_bytes);

/// The message whose frame lies at `position`; nothing if it is not, or not any more, message `number`.
std::optional<Message> message_at(const RingView& ring, uint64_t position, uint64_t number);

}  // namespace bgtask::ring
