#include "protocol/ring/byte_ring.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <utility>

#include "protocol/ring/counters.h"
#include "protocol/ring/read_mark.h"

namespace bgtask::ring {
namespace {

constexpr size_t kScratch = 16 * 1024;

uint64_t to_page_end(uint64_t position) {
  return kPage - position % kPage;
}

// The one or two pieces of memory behind positions [position, position + length).
int segments(const Storage& storage, uint64_t position, uint64_t length, iovec (&out)[2]) {
  const uint64_t offset = position % storage.capacity();
  const uint64_t first = std::min(length, storage.capacity() - offset);
  out[0] = {storage.data() + offset, first};
  out[1] = {storage.data(), length - first};
  return length > first ? 2 : 1;
}

// Number of bytes that a read will find: 0 at the end, or where that cannot be known. Nothing if no read may
// be made: bytes that arrive after an empty FIONREAD must not be read without a mark.
std::optional<uint64_t> waiting_in(int fd) {
  int waiting = 0;
  if (::ioctl(fd, FIONREAD, &waiting) != 0) return 0;
  if (waiting == 0) {
    pollfd entry{fd, POLLIN, 0};
    if (::poll(&entry, 1, 0) == 0) return std::nullopt;
    if (::ioctl(fd, FIONREAD, &waiting) != 0) return 0;
  }
  return std::max(waiting, 0);
}

ByteRing::Intake failed_read(uint64_t offset, int os_error) {
  using Kind = ByteRing::Intake::Kind;
  const bool nothing = os_error == EAGAIN || os_error == EWOULDBLOCK;
  return {nothing ? Kind::kNothing : Kind::kFailed, offset, 0, nothing ? 0 : os_error};
}

}  // namespace

ByteRing::ByteRing(Storage storage, Geometry geometry) : storage_(std::move(storage)), geometry_(geometry) {
  geometry_.capacity = storage_.capacity();
  Header& header = storage_.header();
  Counters counters = load(header);
  const uint64_t write_end = header.write_end.load(std::memory_order_relaxed);
  if (write_end <= counters.limit) return;
  if (write_end > capacity()) counters.drop_to(write_end - capacity());
  counters.start_position = counters.start;
  publish(header, counters);
  end_write(header, counters.limit);
}

ByteRing::Intake ByteRing::take_in(int fd, size_t max) {
  Header& header = storage_.header();
  const uint64_t limit = load(header).limit;
  const uint64_t bound = geometry_.overflow == Overflow::kBlock ? room() : capacity() / 4;
  if (bound == 0) return {Intake::Kind::kFull, limit, 0, 0};
  const std::optional<uint64_t> look = waiting_in(fd);
  if (!look) return {Intake::Kind::kNothing, limit, 0, 0};
  const uint64_t waiting = *look;
  int os_error = 0;
  uint64_t length = make_room(worth_reserving(waiting, std::clamp<uint64_t>(max, 1, bound)), &os_error);
  if (length == 0) {
    if (geometry_.overflow == Overflow::kBlock) return {Intake::Kind::kNoSpace, limit, 0, os_error};
    return take_in_lost(fd, max);
  }
  if (waiting > 0) length = std::min(length, waiting);
  // A writer killed between the read and its publication leaves bytes that exist only in the ring.
  if (waiting > 0) {
    mark_read(header, storage_.data(), limit, length);
  } else {
    announce_write(header, limit + length);
  }
  iovec pieces[2];
  const int count = segments(storage_, limit, length, pieces);
  ssize_t n;
  do {
    n = ::readv(fd, pieces, count);
  } while (n < 0 && errno == EINTR);
  const int read_error = errno;
  // Another process has read from the pipe, so the marked bytes are not there.
  if (waiting > 0 && n < static_cast<ssize_t>(length)) give_up_below(limit + length);
  // Before the counters: a writer killed in between has overwritten at most this much.
  end_write(header, limit + static_cast<uint64_t>(std::max<ssize_t>(n, 0)));
  if (n < 0) return failed_read(limit, read_error);
  if (n == 0) {
    storage_.trim(limit);
    return {Intake::Kind::kEof, limit, 0, 0};
  }
  advance(static_cast<uint64_t>(n), true);
  return {Intake::Kind::kBytes, limit, static_cast<size_t>(n), 0};
}

void ByteRing::give_up_below(uint64_t write_end) {
  if (write_end <= capacity()) return;
  Counters counters = load(storage_.header());
  counters.drop_to(std::min(write_end - capacity(), counters.limit));
  counters.start_position = counters.start;
  publish(storage_.header(), counters);
}

// A reservation covers only the bytes that can be read now: a pipe with ten bytes costs one page.
uint64_t ByteRing::worth_reserving(uint64_t waiting, uint64_t want) const {
  const uint64_t limit = load(storage_.header()).limit;
  if (storage_.writable(limit) >= want) return want;
  return std::min(want, std::max(waiting, to_page_end(limit)));
}

// Makes space for up to `want` bytes at limit. Returns how many; 0 if there is no space and nothing to drop.
uint64_t ByteRing::make_room(uint64_t want, int* os_error) {
  const uint64_t limit = load(storage_.header()).limit;
  for (;;) {
    *os_error = storage_.try_reserve(limit, limit + want);
    if (*os_error == 0) return want;
    if (const uint64_t backed = storage_.writable(limit); backed > 0) return std::min(want, backed);
    const uint64_t less = std::min(want, to_page_end(limit));
    if (less < want && storage_.try_reserve(limit, limit + less) == 0) return less;
    if (!give_up_oldest()) return 0;
  }
}

// Drops a quarter of the readable bytes in whole pages; with kBlock only consumed ones.
bool ByteRing::give_up_oldest() {
  Counters counters = load(storage_.header());
  const uint64_t end = geometry_.overflow == Overflow::kBlock ? counters.consumed : counters.limit;
  if (counters.start >= end) return false;
  const uint64_t step = std::clamp<uint64_t>((end - counters.start) / 4, kPage, kReserveChunk);
  counters.drop_to(std::min(end, (counters.start + step) / kPage * kPage));
  counters.start_position = counters.start;
  publish(storage_.header(), counters);
  storage_.release_now(counters.start);
  return true;
}

// The file system is full and the ring is empty. The child must not wait, so its output is read and counted
// as lost.
ByteRing::Intake ByteRing::take_in_lost(int fd, size_t max) {
  std::byte scratch[kScratch];
  const uint64_t limit = load(storage_.header()).limit;
  ssize_t n;
  do {
    n = ::read(fd, scratch, std::clamp<size_t>(max, 1, kScratch));
  } while (n < 0 && errno == EINTR);
  if (n < 0) return failed_read(limit, errno);
  if (n == 0) return {Intake::Kind::kEof, limit, 0, 0};
  advance(static_cast<uint64_t>(n), false);
  return {Intake::Kind::kBytes, limit, static_cast<size_t>(n), 0};
}

ByteRing::Intake ByteRing::append(std::span<const std::byte> bytes) {
  Header& header = storage_.header();
  const uint64_t offset = load(header).limit;
  const bool block = geometry_.overflow == Overflow::kBlock;
  Intake intake{Intake::Kind::kNothing, offset, 0, 0};
  while (!bytes.empty()) {
    const uint64_t limit = load(header).limit;
    const uint64_t bound = block ? room() : capacity() / 4;
    uint64_t length = std::min<uint64_t>(bytes.size(), bound);
    if (length > 0) length = make_room(length, &intake.error);
    if (length == 0 && block) {
      if (intake.length == 0) intake.kind = bound == 0 ? Intake::Kind::kFull : Intake::Kind::kNoSpace;
      break;
    }
    const bool kept = length > 0;
    if (kept) {
      announce_write(header, limit + length);
      storage_.write(limit, bytes.data(), length);
    } else {
      length = bytes.size();
    }
    advance(length, kept);
    intake.kind = Intake::Kind::kBytes;
    intake.length += length;
    bytes = bytes.subspan(length);
  }
  if (intake.kind != Intake::Kind::kNoSpace) intake.error = 0;
  return intake;
}

// Publishes `length` more bytes; if not `kept`, they and all bytes before them are lost.
void ByteRing::advance(uint64_t length, bool kept) {
  Header& header = storage_.header();
  Counters counters = load(header);
  counters.limit += length;
  if (!kept) counters.drop_to(counters.limit);
  if (counters.limit > capacity()) counters.drop_to(counters.limit - capacity());
  counters.start_position = counters.start;
  counters.limit_position = counters.limit;
  if (!kept) end_write(header, counters.limit);
  publish(header, counters);
}

uint64_t ByteRing::room() const {
  const Counters counters = load(storage_.header());
  return capacity() - std::min(capacity(), counters.limit - counters.consumed);
}

void ByteRing::consume(uint64_t end) {
  const Counters counters = load(storage_.header());
  const uint64_t consumed = std::max(counters.consumed, std::min(end, counters.limit));
  take_up_to(consumed, consumed - std::min(consumed, geometry_.retain));
}

void ByteRing::discard(uint64_t end) {
  const Counters counters = load(storage_.header());
  end = std::min(end, counters.limit);
  take_up_to(std::max(counters.consumed, end), end);
}

void ByteRing::take_up_to(uint64_t consumed, uint64_t start) {
  Counters counters = load(storage_.header());
  start = std::max(start, counters.start);
  if (consumed == counters.consumed && start == counters.start) return;
  counters.consumed = consumed;
  counters.start = counters.start_position = start;
  publish(storage_.header(), counters);
  storage_.release_below(start);
}

void ByteRing::set_eof(bool eof) {
  publish_end(storage_.header(), eof, positions().error);
}
void ByteRing::set_error(int os_error) {
  publish_end(storage_.header(), positions().eof, os_error);
}
void ByteRing::set_gap() {
  publish_gap(storage_.header());
}

void ByteRing::begin_at(uint64_t limit, uint64_t lost) {
  end_write(storage_.header(), limit);
  publish(storage_.header(), {limit, limit, limit, std::min(lost, limit), limit, limit});
  storage_.release_now(limit);
}

Positions ByteRing::positions() const {
  return positions_of(storage_.header());
}
uint64_t ByteRing::capacity() const {
  return storage_.capacity();
}

}  // namespace bgtask::ring
