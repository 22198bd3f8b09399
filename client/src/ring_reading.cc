#include "client/src/ring_reading.h"

#include <string.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "client/src/stream_names.h"
#include "protocol/ring/output_reader.h"
#include "protocol/taskdir/rings.h"
#include "protocol/wire/methods.h"

namespace bgtask {
namespace {

constexpr std::uint64_t kEverything = std::numeric_limits<std::uint64_t>::max();

double seconds(std::uint64_t time_ns) {
  return static_cast<double>(time_ns) / 1e9;
}

struct Span {
  std::uint64_t begin;
  std::uint64_t count;
};

Span span_of(Range range, const ring::Positions& now) {
  const std::uint64_t begin = range.begin.value_or(now.consumed);
  const std::uint64_t end = range.end.value_or(kEverything);
  return {begin, end > begin ? end - begin : 0};
}

template <class T>
void set_counters(T& result, const ring::Positions& positions) {
  result.start = positions.start;
  result.consumed = positions.consumed;
  result.limit = positions.limit;
  result.lost = positions.lost;
  result.eof = positions.eof;
}

OutputChunk to_chunk(ring::OutputChunk&& chunk) {
  return {.seq = chunk.seq,
          .time = seconds(chunk.time_ns),
          .stream = std::string(wire::stream_name(static_cast<int>(chunk.stream))),
          .offset = chunk.offset,
          .data = std::move(chunk.data)};
}

/// What of a byte stream must still be given of a chunk, where everything below `from` has been.
void cut_below(OutputChunk& chunk, std::uint64_t from) {
  const std::uint64_t cut =
      std::min<std::uint64_t>(from > chunk.offset ? from - chunk.offset : 0, chunk.data.size());
  chunk.data.erase(0, cut);
  chunk.offset += cut;
}

/// The index may forget pieces whose bytes are still there: those come first, without a time.
void add_unindexed(std::vector<OutputChunk>& chunks, const ring::RingView& ring, const char* stream) {
  const ring::Positions positions = ring.positions();
  const auto first =
      std::find_if(chunks.begin(), chunks.end(), [&](const auto& c) { return c.stream == stream; });
  const std::uint64_t end = first != chunks.end() ? first->offset : positions.limit;
  if (end <= positions.consumed) return;
  ring::ByteRead read = ring::read_bytes(ring, positions.consumed, end - positions.consumed);
  if (read.data.empty()) return;
  chunks.insert(chunks.begin(),
                {.seq = 0, .time = 0, .stream = stream, .offset = read.offset, .data = std::move(read.data)});
}

}  // namespace

ReadResult peek_bytes(const ring::RingView& ring, Range range) {
  const Span span = span_of(range, ring.positions());
  ring::ByteRead read = ring::read_bytes(ring, span.begin, span.count);
  ReadResult result;
  result.offset = read.offset;
  result.data = std::move(read.data);
  result.missed = read.missed;
  set_counters(result, read.positions);
  return result;
}

MessagesResult peek_messages(const ring::RingView& ring, Range range) {
  const Span span = span_of(range, ring.positions());
  ring::MessageRead read = ring::read_messages(ring, span.begin, span.count, ring::kMaxRead);
  MessagesResult result;
  result.offset = read.offset;
  result.missed = read.missed;
  set_counters(result, read.positions);
  for (ring::Message& message : read.messages) {
    result.messages.push_back({message.offset, seconds(message.time_ns), std::move(message.data)});
  }
  return result;
}

Result<OutputRings> open_output(const TaskDirectory& task) {
  auto index = taskdir::open_index(task);
  if (!index) return fail(std::move(index).error());
  auto out = taskdir::open_ring(task, ring::StreamId::kStdout);
  if (!out) return fail(std::move(out).error());
  auto err = taskdir::open_ring(task, ring::StreamId::kStderr);
  if (!err) return fail(std::move(err).error());
  auto data = taskdir::open_ring(task, ring::StreamId::kData);
  if (!data) return fail(std::move(data).error());
  return OutputRings{std::move(*index), std::move(*out), std::move(*err), std::move(*data)};
}

Result<std::uint32_t> stream_mask(const std::vector<std::string>& streams) {
  if (streams.empty()) return ring::kAllOutput;
  std::uint32_t mask = 0;
  for (const std::string& name : streams) {
    const std::optional<int> number = stream_by_name(name);
    if (!number || *number == kStdin) {
      return fail(ErrorCode::kBadArgument, "streams: \"" + name + "\" is none of stdout, stderr, data");
    }
    mask |= 1u << *number;
  }
  return mask;
}

Output read_output(const OutputRings& rings, std::uint64_t cursor, std::uint32_t mask,
                   std::uint64_t max_bytes, ring::Pieces pieces, std::optional<OutputPlace>& place) {
  const ring::OutputReader reader(rings.index, rings.out, rings.err, rings.data);
  std::optional<ring::Totals> before;
  if (place && place->cursor == cursor) before = place->totals;
  ring::OutputBatch batch = reader.read(cursor, mask, max_bytes, before, pieces);
  place.reset();
  if (batch.totals) place = OutputPlace{batch.next, *batch.totals};
  Output output;
  output.next = batch.next;
  output.lost = {.out = batch.lost[0], .err = batch.lost[1], .data = batch.lost[2]};
  output.eof = batch.eof;
  for (ring::OutputChunk& chunk : batch.chunks)
    output.chunks.push_back(to_chunk(std::move(chunk)));
  return output;
}

std::vector<OutputChunk> unconsumed_output(const OutputRings& rings) {
  const std::uint64_t out = rings.out.positions().consumed;
  const std::uint64_t err = rings.err.positions().consumed;
  const std::uint64_t data = rings.data.positions().consumed;
  std::optional<OutputPlace> place;
  std::vector<OutputChunk> chunks =
      read_output(rings, 0, ring::kAllOutput, kEverything, ring::Pieces::kApart, place).chunks;
  for (OutputChunk& chunk : chunks) {
    if (chunk.stream != "data") cut_below(chunk, chunk.stream == "stdout" ? out : err);
  }
  std::erase_if(chunks, [&](const OutputChunk& chunk) {
    return chunk.stream == "data" ? chunk.offset < data : chunk.data.empty();
  });
  add_unindexed(chunks, rings.err, "stderr");
  add_unindexed(chunks, rings.out, "stdout");
  return chunks;
}

}  // namespace bgtask
