// The four rings of a task in memory, and a reader over them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "protocol/ring/index_ring.h"
#include "protocol/ring/message_ring.h"
#include "protocol/ring/output_reader.h"
#include "ring_fixture.h"

namespace bgtask::ring {

constexpr uint32_t bit(StreamId stream) {
  return 1u << static_cast<uint32_t>(stream);
}

class Output {
 public:
  explicit Output(uint64_t buffer = 1 << 20, uint64_t index_size = 1 << 20, uint64_t retain = 0)
      : out(memory(buffer), {.capacity = buffer, .retain = retain}),
        err(memory(buffer), {.capacity = buffer, .retain = retain}),
        data(memory(MessageRing::capacity_for(buffer), Kind::kMessages),
             {.capacity = buffer, .retain = retain}),
        index(memory(index_size, Kind::kIndex)) {}

  void put(StreamId stream, const std::string& bytes) {
    ++now;
    if (stream == StreamId::kData) {
      const auto message = data.append(as_span(bytes), now);
      index.append(stream, message.number, message.position, bytes.size(), now);
    } else {
      const auto intake = (stream == StreamId::kStdout ? out : err).append(as_span(bytes));
      index.append(stream, intake.offset, intake.offset, intake.length, now);
    }
  }
  void put_out(uint64_t length) { put(StreamId::kStdout, pattern(out.positions().limit, length)); }
  void put_err(uint64_t length) { put(StreamId::kStderr, pattern(err.positions().limit, length)); }
  void put_message() {
    const uint64_t number = data.positions().limit;
    put(StreamId::kData, pattern(number, number % 50));
  }
  OutputReader reader() const { return OutputReader(index_view, out_view, err_view, data_view); }
  OutputBatch read(uint64_t cursor, uint32_t streams = kAllOutput, uint64_t max_bytes = 1 << 20,
                   Pieces pieces = Pieces::kApart) const {
    return reader().read(cursor, streams, max_bytes, {}, pieces);
  }
  Positions positions(size_t slot) const {
    return slot == 0 ? out.positions() : slot == 1 ? err.positions() : data.positions();
  }

  ByteRing out, err;
  MessageRing data;
  IndexRing index;
  RingView index_view = RingView::over(index.storage());
  RingView out_view = RingView::over(out.storage());
  RingView err_view = RingView::over(err.storage());
  RingView data_view = RingView::over(data.storage());
  uint64_t now = 1000;
};

}  // namespace bgtask::ring
