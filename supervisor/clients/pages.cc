#include "supervisor/clients/pages.h"

#include <optional>

#include "protocol/wire/limits.h"

namespace bgtask::supervisor {
namespace {

constexpr size_t kEnvelope = 4096;
constexpr size_t kWorstJsonEscape = 6;

wire::Lost by_stream(const uint64_t (&counts)[3]) {
  return {counts[0], counts[1], counts[2]};
}

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
  wire::OutputPage page{{}, batch.next, by_stream(batch.lost), by_stream(batch.taken)};
  page.chunks.reserve(batch.chunks.size());
  for (const ring::OutputChunk& chunk : batch.chunks) {
    page.chunks.push_back(
        {chunk.seq, chunk.time_ns != 0 ? std::optional(seconds_of_ns(chunk.time_ns)) : std::nullopt,
         wire::Stream{static_cast<int>(chunk.stream)}, chunk.offset, wire::Bytes(chunk.data)});
  }
  return page;
}

}  // namespace bgtask::supervisor
