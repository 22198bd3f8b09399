#include "protocol/ring/storage.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <new>
#include <string>

#include "protocol/ring/counters.h"
#include "protocol/ring/read_mark.h"

namespace bgtask::ring {
namespace {

constexpr uint64_t floor_page(uint64_t position) {
  return position / kPage * kPage;
}
constexpr uint64_t ceil_page(uint64_t position) {
  return floor_page(position + kPage - 1);
}

constexpr std::array<uint32_t, 256> make_crc_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit)
      value = (value >> 1) ^ (value & 1 ? 0xEDB88320u : 0u);
    table[i] = value;
  }
  return table;
}

constexpr auto kCrcTable = make_crc_table();
constexpr size_t kChecked = offsetof(Header, checksum);

uint32_t checksum_of(const Header& header) {
  return crc32(std::as_bytes(std::span(reinterpret_cast<const char*>(&header), kChecked)));
}

// Bytes to reserve beyond `reserved`: the same amount at first, later a quarter.
uint64_t ahead(uint64_t reserved) {
  const uint64_t quarter = std::min<uint64_t>(reserved / 4, kLongestReserve);
  return floor_page(std::min(reserved, std::max<uint64_t>(quarter, kReserveChunk)));
}

uint64_t record_size_of(Kind kind) {
  return kind == Kind::kIndex ? sizeof(IndexRecord) : 1;
}

// On tmpfs a signal interrupts and undoes fallocate; signals are rare here, so retrying ends.
int allocate(int fd, int mode, uint64_t offset, uint64_t length) {
  while (::fallocate(fd, mode, static_cast<off_t>(offset), static_cast<off_t>(length)) != 0) {
    if (errno != EINTR) return errno;
  }
  return 0;
}

int write_zeros(int fd, uint64_t offset, uint64_t length) {
  static constexpr char kZeros[kPage] = {};
  while (length > 0) {
    const ssize_t n = ::pwrite(fd, kZeros, std::min<uint64_t>(length, kPage), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return n < 0 ? errno : ENOSPC;
    offset += static_cast<uint64_t>(n);
    length -= static_cast<uint64_t>(n);
  }
  return 0;
}

std::string about(const char* name, const char* what) {
  return std::string("ring '") + name + "' " + what;
}

Status check_capacity(uint64_t capacity) {
  if (capacity >= 1 && capacity <= kMaxCapacity) return {};
  return fail(ErrorCode::kBadArgument, "a ring needs a capacity between 1 byte and 1 TiB");
}

// Calls f(offset in the data area, length) for the one or two pieces of [from, to).
template <class F>
void for_segments(uint64_t from, uint64_t to, uint64_t capacity, F&& f) {
  const uint64_t offset = from % capacity;
  const uint64_t first = std::min(to - from, capacity - offset);
  if (first > 0) f(offset, first);
  if (to - from > first) f(uint64_t{0}, to - from - first);
}

}  // namespace

uint32_t crc32(std::span<const std::byte> bytes) {
  uint32_t value = 0xFFFFFFFFu;
  for (std::byte b : bytes)
    value = kCrcTable[(value ^ static_cast<uint32_t>(b)) & 0xFF] ^ (value >> 8);
  return ~value;
}

Result<io::UniqueFd> open_ring(int dir_fd, const char* name, int flags, uint64_t* size) {
  io::UniqueFd fd(::openat(dir_fd, name, flags | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (!fd) {
    const int os_error = errno;
    if (os_error == ELOOP) return fail(ErrorCode::kUnsafePool, about(name, "is a symbolic link"));
    return fail_errno(about(name, "cannot be opened"), os_error);
  }
  struct stat st;
  if (::fstat(fd.get(), &st) != 0) return fail_errno(about(name, "cannot be examined"), errno);
  if (!S_ISREG(st.st_mode)) return fail(ErrorCode::kUnsafePool, about(name, "is not a regular file"));
  *size = static_cast<uint64_t>(st.st_size);
  return fd;
}

Status check_header(const Header& header, Kind kind, uint64_t file_size, const char* name) {
  const auto bad = [&](const char* what) { return fail(ErrorCode::kBadArgument, about(name, what)); };
  if (std::memcmp(header.magic, kMagic, sizeof kMagic) != 0) return bad("is not a ring file");
  if (header.version != kVersion) {
    return fail(ErrorCode::kVersionMismatch, about(name, "has version ") + std::to_string(header.version) +
                                                 "; this program reads version " + std::to_string(kVersion));
  }
  if (header.checksum != checksum_of(header)) return bad("has a damaged header (checksum)");
  if (header.kind != static_cast<uint32_t>(kind)) return bad("is a ring of another kind");
  if (header.record_size != record_size_of(kind)) return bad("has records of an unknown size");
  const uint64_t capacity = header.capacity;
  if (capacity == 0 || capacity % kPage != 0 || capacity > kMaxCapacity) return bad("has a wrong capacity");
  if (file_size < kHeaderSize + capacity) return bad("is shorter than its header says");
  return {};
}

Result<Storage> Storage::map(io::UniqueFd fd, uint64_t capacity, const char* name) {
  Storage storage;
  storage.size_ = kHeaderSize + capacity;
  const int flags = fd ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  void* base = ::mmap(nullptr, storage.size_, PROT_READ | PROT_WRITE, flags, fd.get(), 0);
  if (base == MAP_FAILED) return fail_errno(about(name, "cannot be mapped"), errno);
  storage.base_ = static_cast<std::byte*>(base);
  // One byte of output must cost a page, not a huge one.
  if (!fd) ::madvise(base, storage.size_, MADV_NOHUGEPAGE);
  storage.fd_ = std::move(fd);
  return storage;
}

void Storage::write_first_line(Kind kind, uint64_t capacity) {
  Header* header = new (base_) Header{};
  std::memcpy(header->magic, kMagic, sizeof kMagic);
  header->version = kVersion;
  header->kind = static_cast<uint32_t>(kind);
  header->capacity = capacity;
  header->record_size = record_size_of(kind);
  header->checksum = checksum_of(*header);
}

Result<Storage> Storage::create_memory(Kind kind, uint64_t capacity) {
  if (auto ok = check_capacity(capacity); !ok) return fail(std::move(ok).error());
  capacity = ceil_page(capacity);
  auto storage = map(io::UniqueFd(), capacity, "(memory)");
  if (storage) storage->write_first_line(kind, capacity);
  return storage;
}

Result<Storage> Storage::create_file(int dir_fd, const char* name, Kind kind, uint64_t capacity) {
  if (auto ok = check_capacity(capacity); !ok) return fail(std::move(ok).error());
  capacity = ceil_page(capacity);
  io::UniqueFd fd(::openat(dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd) return fail_errno(about(name, "cannot be created"), errno);
  auto withdraw = [&](auto failure) {
    ::unlinkat(dir_fd, name, 0);
    return failure;
  };
  // The umask may have removed bits of 0600, and the owner must be able to reopen the file.
  if (::fchmod(fd.get(), 0600) != 0 ||
      ::ftruncate(fd.get(), static_cast<off_t>(kHeaderSize + capacity)) != 0) {
    return withdraw(fail_errno(about(name, "cannot be sized"), errno));
  }
  int os_error = allocate(fd.get(), 0, 0, kHeaderSize);
  const bool can_reserve = os_error != EOPNOTSUPP;
  if (!can_reserve) os_error = write_zeros(fd.get(), 0, kHeaderSize);
  if (os_error != 0) return withdraw(fail_errno(about(name, "cannot be given space"), os_error));
  auto storage = map(std::move(fd), capacity, name);
  if (!storage) return withdraw(fail(std::move(storage).error()));
  storage->can_reserve_ = can_reserve;
  storage->write_first_line(kind, capacity);
  return storage;
}

Result<Storage> Storage::open_file(int dir_fd, const char* name, Kind kind) {
  uint64_t size = 0;
  auto fd = open_ring(dir_fd, name, O_RDWR, &size);
  if (!fd) return fail(std::move(fd).error());
  // Checked in a copy first: accessing a mapping of a too short file raises SIGBUS.
  alignas(Header) std::byte copy[sizeof(Header)];
  ssize_t size_read = 0;
  do {
    size_read = ::pread(fd->get(), copy, sizeof copy, 0);
  } while (size_read < 0 && errno == EINTR);
  if (size_read < 0) return fail_errno(about(name, "cannot be read"), errno);
  if (size_read != static_cast<ssize_t>(sizeof copy)) {
    return fail(ErrorCode::kBadArgument, about(name, "is too short for a ring"));
  }
  const Header& header = *reinterpret_cast<const Header*>(copy);
  if (auto ok = check_header(header, kind, size, name); !ok) return fail(std::move(ok).error());
  auto storage = map(std::move(*fd), header.capacity, name);
  if (!storage) return storage;
  if (auto ok = storage->continue_from_counters(name); !ok) return fail(std::move(ok).error());
  return storage;
}

// The last writer may have been killed between reading from a pipe and publishing the bytes.
void Storage::publish_last_read() {
  if (static_cast<Kind>(header().kind) != Kind::kBytes) return;
  Counters counters = load(header());
  const uint64_t read = unpublished_read(header(), data(), counters.limit);
  if (read == 0) return;
  counters.limit += read;
  if (counters.limit > capacity()) counters.drop_to(counters.limit - capacity());
  counters.start_position = counters.start;
  counters.limit_position = counters.limit;
  publish(header(), counters);
}

// Bytes between start and limit have been written, so they have space and reserving them is free. All other
// pages of the last writer are released.
Status Storage::continue_from_counters(const char* name) {
  if (!settle(header())) return fail(ErrorCode::kBadArgument, about(name, "has counters that make no sense"));
  publish_last_read();
  const Counters counters = load(header());
  reserved_from_ = floor_page(counters.start_position);
  reserved_to_ = std::min(ceil_page(counters.limit_position), reserved_from_ + capacity());
  if (const int os_error = allocate(fd_.get(), 0, kHeaderSize, kPage); os_error == EOPNOTSUPP) {
    can_reserve_ = false;
    return {};
  }
  punch(reserved_to_, reserved_from_ + capacity());
  // A hole in the output cannot be filled now; it is reserved again before any write.
  if (back(reserved_from_, reserved_to_) != 0)
    reserved_from_ = reserved_to_ = floor_page(counters.limit_position);
  return {};
}

Storage::Storage(Storage&& other) noexcept {
  *this = std::move(other);
}

Storage& Storage::operator=(Storage&& other) noexcept {
  if (this == &other) return *this;
  if (base_ != nullptr) ::munmap(base_, size_);
  fd_ = std::move(other.fd_);
  base_ = std::exchange(other.base_, nullptr);
  size_ = std::exchange(other.size_, 0);
  reserved_from_ = other.reserved_from_;
  reserved_to_ = other.reserved_to_;
  can_reserve_ = other.can_reserve_;
  can_punch_ = other.can_punch_;
  return *this;
}

Storage::~Storage() {
  if (base_ != nullptr) ::munmap(base_, size_);
}

Header& Storage::header() const {
  return *reinterpret_cast<Header*>(base_);
}
std::byte* Storage::data() const {
  return base_ + kHeaderSize;
}
uint64_t Storage::capacity() const {
  return size_ - kHeaderSize;
}

Status Storage::reserve(uint64_t from, uint64_t to) {
  const int os_error = try_reserve(from, to);
  if (os_error == 0) return {};
  return fail_errno("no space for output can be reserved", os_error, ErrorCode::kNoSpace);
}

int Storage::try_reserve(uint64_t from, uint64_t to) {
  if (reserved_to_ - reserved_from_ < capacity()) {
    if (const int os_error = extend(from, to); os_error != 0) return os_error;
  }
  if (to > reserved_to_ && reserved_to_ - reserved_from_ == capacity()) {
    // Every page is reserved: the window moves along.
    reserved_to_ = ceil_page(to);
    reserved_from_ = reserved_to_ - capacity();
  }
  return 0;
}

// Reserves the missing part of [from, to), at most the whole data area.
int Storage::extend(uint64_t from, uint64_t to) {
  if (from < reserved_from_ || from > reserved_to_) {
    // Positions jumped: the old reservation is useless.
    punch(reserved_from_, reserved_to_);
    reserved_from_ = reserved_to_ = floor_page(from);
  }
  if (to <= reserved_to_) return 0;
  const uint64_t full = reserved_from_ + capacity();
  const uint64_t needed = std::min(ceil_page(to), full);
  const uint64_t wished =
      std::min(std::max(needed, reserved_to_ + ahead(reserved_to_ - reserved_from_)), full);
  if (back(reserved_to_, wished) == 0) {
    reserved_to_ = wished;
    return 0;
  }
  const int os_error = back(reserved_to_, needed);
  if (os_error == 0) reserved_to_ = needed;
  return os_error;
}

uint64_t Storage::writable(uint64_t from) const {
  if (reserved_to_ - reserved_from_ == capacity()) return capacity();
  return from >= reserved_from_ && from < reserved_to_ ? reserved_to_ - from : 0;
}

int Storage::back(uint64_t from, uint64_t to) {
  int os_error = 0;
  if (!fd_) return 0;
  for_segments(from, to, capacity(), [&](uint64_t offset, uint64_t length) {
    if (os_error == 0) os_error = back_segment(kHeaderSize + offset, length);
  });
  return os_error;
}

int Storage::back_segment(uint64_t offset, uint64_t length) {
  if (can_reserve_) {
    const int os_error = allocate(fd_.get(), 0, offset, length);
    if (os_error != EOPNOTSUPP) return os_error;
    can_reserve_ = false;
  }
  // No live byte is outside the reserved window, so zeros do no harm.
  return write_zeros(fd_.get(), offset, length);
}

void Storage::release_below(uint64_t position) {
  const uint64_t whole = std::max(floor_page(position), reserved_from_);
  const uint64_t idle = whole - reserved_from_;
  if (position < header().limit_position.load(std::memory_order_relaxed)) {
    if (idle >= kReserveChunk) release_now(position);
    return;
  }
  // No byte is live. Small pieces consumed one by one cost a call only for each page.
  if (idle == 0 && reserved_to_ - reserved_from_ < kReserveChunk) return;
  if (punch(reserved_from_, reserved_to_)) reserved_from_ = reserved_to_ = floor_page(position);
}

void Storage::release_now(uint64_t position) {
  const uint64_t whole = std::min(floor_page(position), reserved_to_);
  if (whole <= reserved_from_ || !punch(reserved_from_, whole)) return;
  reserved_from_ = whole;
}

void Storage::trim(uint64_t position) {
  // In a ring that has wrapped, the space reserved ahead still holds the oldest bytes.
  const uint64_t start = header().start_position.load(std::memory_order_relaxed);
  if (reserved_to_ > floor_page(start) + capacity()) return;
  const uint64_t end = std::max(ceil_page(position), reserved_from_);
  if (end >= reserved_to_ || !punch(end, reserved_to_)) return;
  reserved_to_ = end;
}

bool Storage::punch(uint64_t from, uint64_t to) {
  if (!can_punch_) return false;
  bool punched = true;
  for_segments(from, to, capacity(),
               [&](uint64_t offset, uint64_t length) { punched = punched && punch_segment(offset, length); });
  return punched;
}

bool Storage::punch_segment(uint64_t offset, uint64_t length) {
  if (!fd_) return ::madvise(data() + offset, length, MADV_DONTNEED) == 0;
  const int os_error =
      allocate(fd_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, kHeaderSize + offset, length);
  if (os_error == EOPNOTSUPP) can_punch_ = false;
  return os_error == 0;
}

void Storage::write(uint64_t position, const void* bytes, size_t length) {
  const std::byte* from = static_cast<const std::byte*>(bytes);
  for_segments(position, position + length, capacity(), [&](uint64_t offset, uint64_t piece) {
    std::memcpy(data() + offset, from, piece);
    from += piece;
  });
}

void Storage::read(uint64_t position, void* bytes, size_t length) const {
  std::byte* to = static_cast<std::byte*>(bytes);
  for_segments(position, position + length, capacity(), [&](uint64_t offset, uint64_t piece) {
    std::memcpy(to, data() + offset, piece);
    to += piece;
  });
}

}  // namespace bgtask::ring
