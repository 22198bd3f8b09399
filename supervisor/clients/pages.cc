#include "supervisor/clients/pages.h"

#include "protocol/wire/limits.h"

namespace bgtask::supervisor {
namespace {

constexpr size_t kEnvelope = 4096;
constexpr size_t kWorstJsonEscape = 6;

}  // namespace

size_t page_bytes(wire::Encoding encoding) {
  size_t room = wire::kMaxReply - kEnvelope;
  return encoding == wire::Encoding::kJson ? room / kWorstJsonEscape : room;
}

// A page may exceed its bytes by one record of 64 KiB, and some 110 bytes beside each of its pieces.
size_t piece_bytes(wire::Encoding encoding) {
  return encoding == wire::Encoding::kJson ? size_t{88} * 1024 : size_t{640} * 1024;
}

size_t max_messages(wire::Encoding encoding) {
  return encoding == wire::Encoding::kJson ? 768 : 3072;
}

double seconds_of_ns(uint64_t time_ns) {
  return static_cast<double>(time_ns) / 1e9;
}

wire::OutputPage output_page(const ring::OutputBatch& batch) {
  wire::OutputPage page{{}, batch.next, {batch.lost[0], batch.lost[1], batch.lost[2]}};
  page.chunks.reserve(batch.chunks.size());
  for (const ring::OutputChunk& chunk : batch.chunks) {
    page.chunks.push_back({chunk.seq, seconds_of_ns(chunk.time_ns),
                           wire::Stream{static_cast<int>(chunk.stream)}, chunk.offset,
                           wire::Bytes(chunk.data)});
  }
  return page;
}

}  // namespace bgtask::supervisor
