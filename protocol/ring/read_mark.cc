#include "protocol/ring/read_mark.h"

#include <algorithm>

#include "protocol/ring/counters.h"

namespace bgtask::ring {
namespace {

constexpr uint64_t kMarks = 16;

// Bytes that occur in no UTF-8 text and differ by position.
std::byte mark_at(uint64_t position) {
  return static_cast<std::byte>(0xf8 | ((position * 5 + (position >> 4)) & 7));
}

}  // namespace

void mark_read(Header& header, std::byte* data, uint64_t limit, uint64_t length) {
  announce_write(header, limit + length);
  for (uint64_t at = limit + length - std::min(length, kMarks); at < limit + length; ++at)
    data[at % header.capacity] = mark_at(at);
  header.marked.store(static_cast<uint32_t>(length), std::memory_order_release);
}

uint64_t unpublished_read(const Header& header, const std::byte* data, uint64_t limit) {
  const uint64_t length = header.marked.load(std::memory_order_relaxed);
  const uint64_t end = header.write_end.load(std::memory_order_relaxed);
  if (length == 0 || length > header.capacity || end != limit + length) return 0;
  for (uint64_t at = end - std::min(length, kMarks); at < end; ++at) {
    if (data[at % header.capacity] != mark_at(at)) return length;
  }
  return 0;
}

}  // namespace bgtask::ring
