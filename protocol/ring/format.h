// The layout of ring files, shared by the one writer (the supervisor) and any number of readers.
// docs/ring-format.md is the same in prose. All integers are little-endian and naturally aligned.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace bgtask::ring {

inline constexpr char kMagic[8] = {'B', 'G', 'T', 'A', 'S', 'K', 'R', 'G'};
inline constexpr uint32_t kVersion = 1;
inline constexpr size_t kHeaderSize = 4096;  ///< the data area begins here, page-aligned
/// Space is given back in steps of this size, and reserved in such steps by rings of less than four of them.
inline constexpr size_t kReserveChunk = 64 * 1024;
/// Rings of many mebibytes reserve more at a time: pages reserved together lie together in memory and are
/// read back a fifth faster (measured on tmpfs, 100 MiB: 20 to 16 ms).
inline constexpr size_t kLongestReserve = 1024 * 1024;
inline constexpr size_t kMaxRecord = 64 * 1024;   ///< longest piece of output one index record describes
inline constexpr size_t kMaxMessage = 64 * 1024;  ///< longest data message
inline constexpr size_t kPage = 4096;             ///< capacities are multiples of it
inline constexpr uint64_t kMaxCapacity = uint64_t{1} << 40;
inline constexpr uint64_t kMaxPosition = uint64_t{1} << 62;  ///< above every counter of a valid ring

enum class Kind : uint32_t { kBytes = 1, kMessages = 2, kIndex = 3 };

/// Streams as they are numbered in index records.
enum class StreamId : uint32_t { kStdout = 1, kStderr = 2, kData = 3 };

/// The counters of a ring. Units: bytes for kBytes, messages for kMessages, records for kIndex.
/// start ≤ consumed ≤ limit always; they never go back.
struct Positions {
  uint64_t start = 0;     ///< earliest unit that can still be read
  uint64_t consumed = 0;  ///< everything below has been taken by a consuming read
  uint64_t limit = 0;     ///< after the last unit
  uint64_t lost = 0;      ///< units overwritten before anyone consumed them
  bool eof = false;       ///< no more will come
  int error = 0;          ///< errno if taking in failed, else 0
  bool gap = false;       ///< units may be missing that nobody could count (see kGapFlag)
  bool operator==(const Positions&) const = default;
};

/// Header::flags: the task wrote while no supervisor took its output in, and some of it may have gone with
/// the pipe.
inline constexpr uint32_t kGapFlag = 1;

/// Start of every ring file. The first 64 bytes are written once; the rest is written by the supervisor
/// alone, under `sequence` as a sequence lock (odd while an update is under way). `write_end` stands outside
/// of it.
struct Header {
  char magic[8];
  uint32_t version;
  uint32_t kind;
  uint64_t capacity;     ///< bytes in the data area; a multiple of the page size
  uint64_t record_size;  ///< sizeof(IndexRecord) for kIndex, 1 for the others
  uint32_t checksum;     ///< CRC-32 of the 32 bytes before it
  uint32_t reserved0[7];

  std::atomic<uint32_t> sequence;
  std::atomic<uint32_t> eof;
  std::atomic<uint32_t> error;
  /// If not 0, the announced write is one read of this many bytes, the last of which are marked
  /// (read_mark.h).
  std::atomic<uint32_t> marked;
  std::atomic<uint64_t> start;
  std::atomic<uint64_t> consumed;
  std::atomic<uint64_t> limit;
  std::atomic<uint64_t> lost;
  /// Physical positions, in bytes ever written to the data area (kBytes: the same as start and limit).
  std::atomic<uint64_t> start_position;
  std::atomic<uint64_t> limit_position;
  /// End of the write in progress: a byte at position p is intact only while p >= write_end - capacity. Equal
  /// to limit_position when nothing is being written.
  std::atomic<uint64_t> write_end;
  /// Values of the six counters after the update in progress, complete before `sequence` becomes odd. A
  /// reader that finds it odd uses these, and so does the next writer after a kill in between.
  struct Pending {
    std::atomic<uint64_t> start;
    std::atomic<uint64_t> consumed;
    std::atomic<uint64_t> limit;
    std::atomic<uint64_t> lost;
    std::atomic<uint64_t> start_position;
    std::atomic<uint64_t> limit_position;
  } pending;
  /// Bits that are set once and never cleared. 0 in files of version 0.1.0, whose readers do not look at it.
  std::atomic<uint32_t> flags;
  uint32_t reserved1;
};
static_assert(sizeof(Header) == 192 && sizeof(Header) <= kHeaderSize);
static_assert(offsetof(Header, checksum) == 32 && offsetof(Header, sequence) == 64);
static_assert(offsetof(Header, start) == 80 && offsetof(Header, write_end) == 128);
static_assert(offsetof(Header, pending) == 136 && offsetof(Header, flags) == 184);
static_assert(std::atomic<uint32_t>::is_always_lock_free);
static_assert(std::atomic<uint64_t>::is_always_lock_free);

/// One message in a kMessages ring: this frame, then `length` bytes, padded to 8. Frames may wrap.
struct MessageFrame {
  uint64_t number;   ///< number of the message, from 0
  uint64_t time_ns;  ///< when it was taken in, wall clock, nanoseconds since the epoch
  uint32_t length;
  uint32_t reserved;
};
static_assert(sizeof(MessageFrame) == 24);

/// One piece of output in the order in which pieces were taken in. Record number `seq` lies at
/// seq % (capacity / 64) in the data area.
struct IndexRecord {
  uint64_t seq;  ///< from 1: cursor 0 is "the beginning"; the cursor after this record is seq + 1
  uint64_t time_ns;
  uint64_t out;       ///< bytes of stdout before this record
  uint64_t err;       ///< bytes of stderr before this record
  uint64_t data;      ///< data messages before this record
  uint64_t position;  ///< where the piece lies in its own ring (physical position)
  uint32_t stream;    ///< a StreamId
  uint32_t length;    ///< bytes of the piece (of the message, for data)
  uint64_t reserved;
};
static_assert(sizeof(IndexRecord) == 64);

}  // namespace bgtask::ring
