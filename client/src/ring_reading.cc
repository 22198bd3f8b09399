#include "client/src/ring_reading.h"

#include <string.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <iterator>
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

/// Also tells apart what is missed before `result.offset`.
template <class T>
void set_counters(T& result, const ring::Positions& positions) {
  result.taken = ring::missing(result.offset - result.missed, result.missed, positions).taken;
  result.start = positions.start;
  result.consumed = positions.consumed;
  result.limit = positions.limit;
  result.lost = positions.lost;
  result.eof = positions.eof;
  result.gap = positions.gap;
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

OutputAnswer read_output(const OutputRings& rings, const OutputQuery& query, ring::LastOutput& last) {
  const ring::OutputReader reader(rings.index, rings.out, rings.err, rings.data);
  std::optional<ring::OutputPlace> before = last.at(query.cursor);
  if (query.offsets) {
    if (!before) before.emplace();
    before->totals = {query.offsets->out, query.offsets->err, query.offsets->data};
  }
  ring::OutputBatch batch =
      reader.read(query.cursor, query.mask, query.max_bytes, before, query.pieces, query.tail);
  last = {batch.next, batch.place};
  Output output;
  if (batch.place) {
    const ring::Totals& totals = batch.place->totals;
    output.offsets = OutputOffsets{totals[0], totals[1], totals[2]};
  }
  output.next = batch.next;
  output.lost = {.out = batch.lost[0], .err = batch.lost[1], .data = batch.lost[2]};
  output.taken = {.out = batch.taken[0], .err = batch.taken[1], .data = batch.taken[2]};
  output.eof = batch.eof;
  for (ring::OutputChunk& chunk : batch.chunks)
    output.chunks.push_back(to_chunk(std::move(chunk)));
  return {std::move(output), batch.ahead};
}

std::vector<OutputChunk> unconsumed_output(const OutputRings& rings) {
  const std::uint64_t out = rings.out.positions().consumed;
  const std::uint64_t err = rings.err.positions().consumed;
  const std::uint64_t data = rings.data.positions().consumed;
  std::vector<OutputChunk> chunks;
  ring::LastOutput last;
  OutputQuery query{.max_bytes = kEverything, .tail = ring::Tail::kGiven};
  for (;;) {
    Output output = read_output(rings, query, last).output;
    if (output.empty() && output.next == query.cursor) break;
    query.cursor = output.next;
    std::move(output.chunks.begin(), output.chunks.end(), std::back_inserter(chunks));
  }
  for (OutputChunk& chunk : chunks) {
    if (chunk.stream != "data") cut_below(chunk, chunk.stream == "stdout" ? out : err);
  }
  std::erase_if(chunks, [&](const OutputChunk& chunk) {
    return chunk.stream == "data" ? chunk.offset < data : chunk.data.empty();
  });
  return chunks;
}

}  // namespace bgtask
