// The memory under a ring: a mapped file (survives the supervisor) or anonymous memory (does not).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "protocol/io/unique_fd.h"
#include "protocol/ring/format.h"
#include "protocol/wire/result.h"

namespace bgtask::ring {

/// Header and data area, mapped read-write. Space is reserved (fallocate) before it is written, so that a
/// full file system is an error here and never SIGBUS; released pages go back to the system.
class Storage {
 public:
  /// Creates file `name` (0600, must not exist) in directory `dir_fd`. Reserves the header only.
  static Result<Storage> create_file(int dir_fd, const char* name, Kind kind, uint64_t capacity);
  static Result<Storage> create_memory(Kind kind, uint64_t capacity);
  /// Maps an existing ring read-write, after checking magic, version, kind, checksum and size.
  static Result<Storage> open_file(int dir_fd, const char* name, Kind kind);

  Storage(Storage&&) noexcept;
  Storage& operator=(Storage&&) noexcept;
  ~Storage();

  Header& header() const;
  std::byte* data() const;
  uint64_t capacity() const;

  /// Makes positions [from, to) writable; to - from ≤ capacity. Positions never go down from call to call.
  /// Reserves in steps that double up to kReserveChunk, so that a stream of ten bytes costs one page, and
  /// from four of these on a quarter of what there is, up to kLongestReserve.
  Status reserve(uint64_t from, uint64_t to);
  /// The same without allocating an error message: 0 or an errno.
  int try_reserve(uint64_t from, uint64_t to);
  /// How many bytes from `from` on can be written without reserving more.
  uint64_t writable(uint64_t from) const;

  /// Releases whole pages below `position` that no live position shares, in batches of kReserveChunk, or all
  /// of them once no byte is live (`position` is limit_position). Publish the new start first: readers must
  /// see it before the bytes turn to zeros.
  void release_below(uint64_t position);
  /// The same at once, without batching.
  void release_now(uint64_t position);
  /// Releases the reservation beyond `position`.
  void trim(uint64_t position);

  /// Copies into and out of the data area, wrapping at its end. The caller has reserved the space.
  void write(uint64_t position, const void* bytes, size_t length);
  void read(uint64_t position, void* bytes, size_t length) const;

 private:
  Storage() = default;
  io::UniqueFd fd_;  // -1 for anonymous memory
  std::byte* base_ = nullptr;
  size_t size_ = 0;
  // Positions [reserved_from_, reserved_to_) are backed. Once capacity long, the window moves along without
  // calls, because every page is reserved.
  uint64_t reserved_from_ = 0;
  uint64_t reserved_to_ = 0;
  bool can_reserve_ = true;  // false: the file system knows no fallocate, zeros are written instead
  bool can_punch_ = true;    // false: pages stay

  static Result<Storage> map(io::UniqueFd fd, uint64_t capacity, const char* name);
  void write_first_line(Kind kind, uint64_t capacity);
  Status continue_from_counters(const char* name);
  void publish_last_read();
  int extend(uint64_t from, uint64_t to);
  int back(uint64_t from, uint64_t to);
  int back_segment(uint64_t offset, uint64_t length);
  bool punch(uint64_t from, uint64_t to);
  bool punch_segment(uint64_t offset, uint64_t length);
};

/// Validates the first 64 bytes of an untrusted header against `kind` and the size of its file.
Status check_header(const Header& header, Kind kind, uint64_t file_size, const char* name);

/// Opens a ring file without following a link or waiting for a FIFO: a regular file, else unsafe_pool.
Result<io::UniqueFd> open_ring(int dir_fd, const char* name, int flags, uint64_t* size);

/// CRC-32 (the IEEE polynomial, reflected) as the header carries it.
uint32_t crc32(std::span<const std::byte> bytes);

}  // namespace bgtask::ring
