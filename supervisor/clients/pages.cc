#include "supervisor/clients/pages.h"

#include "protocol/wire/limits.h"
#include "protocol/wire/methods.h"

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

Json output_page(const ring::OutputBatch& batch) {
  Json chunks = Json::array();
  for (const ring::OutputChunk& chunk : batch.chunks) {
    chunks.push_back({{"seq", chunk.seq},
                      {"time", seconds_of_ns(chunk.time_ns)},
                      {"stream", std::string(wire::stream_name(static_cast<int>(chunk.stream)))},
                      {"offset", chunk.offset},
                      {"data", wire::binary_value(chunk.data)}});
  }
  Json lost{{"stdout", batch.lost[0]}, {"stderr", batch.lost[1]}, {"data", batch.lost[2]}};
  return Json{{"chunks", std::move(chunks)}, {"next", batch.next}, {"lost", std::move(lost)}};
}

}  // namespace bgtask::supervisor
