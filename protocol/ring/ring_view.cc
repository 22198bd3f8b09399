#include "protocol/ring/ring_view.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <utility>

#include "protocol/ring/counters.h"

namespace bgtask::ring {
namespace {

constexpr int kCounterTries = 1000;
constexpr int kYields = 50;
constexpr int kNaps = 100;
constexpr long kNapNs = 200'000;
constexpr int64_t kNoPatienceNs = 1'000'000'000;

int64_t monotonic_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

bool pread_all(int fd, void* out, size_t length, uint64_t offset) {
  char* to = static_cast<char*>(out);
  while (length > 0) {
    const ssize_t n = ::pread(fd, to, length, static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    to += n;
    offset += static_cast<uint64_t>(n);
    length -= static_cast<size_t>(n);
  }
  return true;
}

uint64_t size_with_frame(uint64_t length) {
  return sizeof(MessageFrame) + (length + 7) / 8 * 8;
}

uint64_t saturating_add(uint64_t a, uint64_t b) {
  return a + std::min(b, UINT64_MAX - a);
}

// Resizes `text` to the length that `write(address)`, which writes at most `size` characters, returns;
// without zeroing it first where the library can.
template <class Write>
void fill(std::string& text, size_t size, const Write& write) {
#ifdef __cpp_lib_string_resize_and_overwrite
  text.resize_and_overwrite(size, [&](char* to, size_t) { return write(to); });
#else
  text.resize(size);
  text.resize(write(text.data()));
#endif
}

// The changing part of a header as plain numbers in file order.
struct Snapshot {
  uint32_t sequence, eof, error, marked;
  uint64_t counters[6];
  uint64_t write_end;
  uint64_t pending[6];
  uint32_t flags, reserved;
};
static_assert(sizeof(Snapshot) == sizeof(Header) - offsetof(Header, sequence));

}  // namespace

Result<RingView> RingView::open(int dir_fd, const char* name, Kind kind, Access access) {
  uint64_t size = 0;
  auto fd = open_ring(dir_fd, name, O_RDONLY, &size);
  if (!fd) return fail(std::move(fd).error());
  alignas(Header) std::byte copy[sizeof(Header)];
  if (!pread_all(fd->get(), copy, sizeof copy, 0)) {
    return fail(ErrorCode::kBadArgument, std::string("ring '") + name + "' is too short for a ring");
  }
  const Header& header = *reinterpret_cast<const Header*>(copy);
  if (auto ok = check_header(header, kind, size, name); !ok) return fail(std::move(ok).error());
  RingView view;
  view.capacity_ = header.capacity;
  view.kind_ = kind;
  if (access == Access::kMap) {
    void* base = ::mmap(nullptr, kHeaderSize, PROT_READ, MAP_SHARED, fd->get(), 0);
    if (base == MAP_FAILED) return fail_errno(std::string("ring '") + name + "' cannot be mapped", errno);
    view.base_ = static_cast<const std::byte*>(base);
    view.mapped_ = kHeaderSize;
  }
  view.fd_ = std::move(*fd);
  return view;
}

RingView RingView::over(const Storage& storage) {
  RingView view;
  view.base_ = storage.data() - kHeaderSize;
  view.capacity_ = storage.capacity();
  view.kind_ = static_cast<Kind>(storage.header().kind);
  return view;
}

RingView::RingView(RingView&& other) noexcept {
  *this = std::move(other);
}

RingView& RingView::operator=(RingView&& other) noexcept {
  if (this == &other) return *this;
  if (mapped_ > 0) ::munmap(const_cast<std::byte*>(base_), mapped_);
  fd_ = std::move(other.fd_);
  base_ = std::exchange(other.base_, nullptr);
  mapped_ = std::exchange(other.mapped_, 0);
  capacity_ = other.capacity_;
  kind_ = other.kind_;
  gave_up_ns_ = other.gave_up_ns_;
  return *this;
}

RingView::~RingView() {
  if (mapped_ > 0) ::munmap(const_cast<std::byte*>(base_), mapped_);
}

Kind RingView::kind() const {
  return kind_;
}
uint64_t RingView::capacity() const {
  return capacity_;
}
bool RingView::linked() const {
  struct stat st {};
  return fd_ && ::fstat(fd_.get(), &st) == 0 && st.st_nlink > 0;
}
Positions RingView::positions() const {
  return physical().counters;
}

RingView::Physical RingView::load_mapped(const Header& header) {
  constexpr auto kRelaxed = std::memory_order_relaxed;
  Physical shot{};
  for (int attempt = 0; attempt < kCounterTries; ++attempt) {
    const uint32_t before = header.sequence.load(std::memory_order_acquire);
    const Counters c = before % 2 != 0 ? load_pending(header) : load(header);
    shot = {{c.start, c.consumed, c.limit, c.lost, header.eof.load(kRelaxed) != 0,
             static_cast<int>(header.error.load(kRelaxed)), (header.flags.load(kRelaxed) & kGapFlag) != 0},
            c.start_position,
            c.limit_position,
            header.write_end.load(kRelaxed)};
    std::atomic_thread_fence(std::memory_order_acquire);
    if (header.sequence.load(kRelaxed) == before) break;
  }
  return shot;
}

// A consistent but unchecked set of counters. While the sequence is odd the pending ones are complete, so a
// writer killed there is no obstacle. False if the file has become too short.
bool RingView::load_counters(Physical* out) const {
  if (base_ != nullptr) {
    *out = load_mapped(*reinterpret_cast<const Header*>(base_));
    return true;
  }
  constexpr size_t kAt = offsetof(Header, sequence);
  const int fd = fd_.get();
  Snapshot shot{};
  for (int attempt = 0; attempt < kCounterTries; ++attempt) {
    uint32_t before = 0;
    uint32_t after = 0;
    if (!pread_all(fd, &before, sizeof before, kAt)) return false;
    std::atomic_thread_fence(std::memory_order_acquire);
    if (!pread_all(fd, &shot, sizeof shot, kAt)) return false;
    std::atomic_thread_fence(std::memory_order_acquire);
    if (!pread_all(fd, &after, sizeof after, kAt)) return false;
    shot.sequence = before;
    if (before == after) break;
  }
  const uint64_t(&c)[6] = shot.sequence % 2 != 0 ? shot.pending : shot.counters;
  *out = {{c[0], c[1], c[2], c[3], shot.eof != 0, static_cast<int>(shot.error), (shot.flags & kGapFlag) != 0},
          c[4],
          c[5],
          shot.write_end};
  return true;
}

// Forces the counters of a possibly hostile header into order and into the ring.
RingView::Physical RingView::clamped(Physical raw) const {
  Positions& c = raw.counters;
  const Counters counters{c.start, c.consumed, c.limit, c.lost, raw.start_position, raw.limit_position};
  if (!plausible(counters, kind_, capacity_)) {
    c.limit = std::min(c.limit, kMaxPosition);
    c.start = c.consumed = c.limit;
    c.lost = std::min(c.lost, c.limit);
    raw.limit_position = kind_ == Kind::kBytes ? c.limit : std::min(raw.limit_position, kMaxPosition);
    raw.start_position = raw.limit_position;
  }
  raw.write_end = std::clamp(raw.write_end, raw.limit_position, raw.limit_position + capacity_);
  return raw;
}

RingView::Physical RingView::physical() const {
  Physical raw{};
  if (!load_counters(&raw)) return Physical{};
  return clamped(raw);
}

// Lowest intact position: bytes below may be overwritten or released. Read it after copying.
uint64_t RingView::first_intact() const {
  std::atomic_thread_fence(std::memory_order_acquire);
  uint64_t start = 0;
  uint64_t write_end = 0;
  if (base_ != nullptr) {
    const Header& header = *reinterpret_cast<const Header*>(base_);
    start = header.start_position.load(std::memory_order_relaxed);
    write_end = header.write_end.load(std::memory_order_relaxed);
  } else if (!pread_all(fd_.get(), &start, sizeof start, offsetof(Header, start_position)) ||
             !pread_all(fd_.get(), &write_end, sizeof write_end, offsetof(Header, write_end))) {
    return UINT64_MAX;
  }
  return std::max(start, write_end - std::min(write_end, capacity_));
}

bool RingView::read_data(uint64_t position, size_t length, std::byte* out) const {
  const uint64_t offset = position % capacity_;
  const size_t first = std::min<uint64_t>(length, capacity_ - offset);
  if (!fd_) {
    std::memcpy(out, base_ + kHeaderSize + offset, first);
    std::memcpy(out + first, base_ + kHeaderSize, length - first);
    return true;
  }
  return pread_all(fd_.get(), out, first, kHeaderSize + offset) &&
         pread_all(fd_.get(), out + first, length - first, kHeaderSize);
}

uint64_t RingView::copy_tail(uint64_t position, size_t length, std::byte* out) const {
  const Physical now = physical();
  const uint64_t end = saturating_add(position, length);
  const uint64_t from = std::max(position, now.start_position);
  if (end > now.limit_position || from >= end) return end;
  if (!read_data(from, end - from, out + (from - position))) return end;
  return std::min(end, std::max(from, first_intact()));
}

bool RingView::copy(uint64_t position, size_t length, std::byte* out) const {
  if (length == 0) return true;
  return length <= UINT64_MAX - position && copy_tail(position, length, out) == position;
}

// The writer may be between announcing a write and finding nothing to read. Yield first, then sleep briefly;
// finally assume that it was killed there.
bool RingView::wait_for_writer(int attempt) const {
  if (attempt == 0 && gave_up_ns_ != 0 && monotonic_ns() - gave_up_ns_ < kNoPatienceNs) return false;
  if (attempt >= kYields + kNaps) {
    gave_up_ns_ = monotonic_ns();
    return false;
  }
  if (attempt < kYields) {
    ::sched_yield();
  } else {
    const timespec nap{0, kNapNs};
    ::nanosleep(&nap, nullptr);
  }
  return true;
}

ByteRead read_bytes(const RingView& ring, uint64_t offset, uint64_t count) {
  ByteRead result;
  for (int attempt = 0;; ++attempt) {
    result.positions = ring.positions();
    const uint64_t end = std::min(saturating_add(offset, count), result.positions.limit);
    const uint64_t begin = std::max(offset, std::min(result.positions.start, end));
    result.offset = begin;
    result.data.clear();
    if (begin >= end) break;
    const uint64_t length = std::min(end - begin, kMaxRead);
    uint64_t intact = 0;
    fill(result.data, length, [&](char* to) {
      intact = ring.copy_tail(begin, length, reinterpret_cast<std::byte*>(to));
      const uint64_t gone = intact - begin;
      if (gone > 0) std::memmove(to, to + gone, length - gone);
      return length - gone;
    });
    if (intact > begin) {
      // Gone if start has passed it; else the writer may still leave it intact.
      const bool gone = ring.positions().start > begin;
      if (!gone && ring.wait_for_writer(attempt)) continue;
      if (gone && intact == begin + length && attempt < kYields) continue;
    }
    result.offset = intact;
    break;
  }
  result.missed = result.offset - offset;
  return result;
}

std::optional<Message> message_at(const RingView& ring, uint64_t position, uint64_t number) {
  for (int attempt = 0;; ++attempt) {
    MessageFrame frame;
    if (ring.copy(position, sizeof frame, reinterpret_cast<std::byte*>(&frame))) {
      if (frame.number != number || frame.length > kMaxMessage) return std::nullopt;
      Message message{number, frame.time_ns, std::string(frame.length, '\0')};
      auto* bytes = reinterpret_cast<std::byte*>(message.data.data());
      if (ring.copy(position + sizeof frame, frame.length, bytes)) return message;
    }
    const auto now = ring.physical();
    const bool there = position >= now.start_position && position < now.limit_position;
    if (!there || !ring.wait_for_writer(attempt)) return std::nullopt;
  }
}

namespace {

// Walks from frame to frame to message `number`; returns its position if it is there.
std::optional<uint64_t> find_message(const RingView& ring, uint64_t position, uint64_t from,
                                     uint64_t number) {
  for (; from < number; ++from) {
    MessageFrame frame;
    if (!ring.copy(position, sizeof frame, reinterpret_cast<std::byte*>(&frame))) return std::nullopt;
    if (frame.number != from || frame.length > kMaxMessage) return std::nullopt;
    position += size_with_frame(frame.length);
  }
  return position;
}

}  // namespace

MessageRead read_messages(const RingView& ring, uint64_t offset, uint64_t count, uint64_t max_bytes) {
  MessageRead result;
  for (int attempt = 0;; ++attempt) {
    const auto now = ring.physical();
    result.positions = now.counters;
    const uint64_t end = std::min(saturating_add(offset, count), now.counters.limit);
    const uint64_t begin = std::max(offset, std::min(now.counters.start, end));
    result.offset = begin;
    if (begin >= end) break;
    auto position = find_message(ring, now.start_position, now.counters.start, begin);
    uint64_t bytes = 0;
    for (uint64_t number = begin; position && number < end; ++number) {
      auto message = message_at(ring, *position, number);
      if (!message || (number > begin && bytes + message->data.size() > max_bytes)) break;
      *position += size_with_frame(message->data.size());
      bytes += message->data.size();
      result.messages.push_back(std::move(*message));
    }
    if (!result.messages.empty()) break;
    // If it was overwritten meanwhile, retry; otherwise the frame is invalid and everything after it is gone.
    const uint64_t start = ring.positions().start;
    if (start > begin && attempt < kYields) continue;
    result.offset = start > begin ? std::min(start, end) : end;
    break;
  }
  result.missed = result.offset - offset;
  return result;
}

}  // namespace bgtask::ring
