#include "client/src/output.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <string>
#include <utility>

#include "client/src/replies.h"
#include "client/src/stream_names.h"
#include "client/src/uncounted_loss.h"
#include "protocol/ring/format.h"
#include "protocol/wire/messages.h"

namespace bgtask {
namespace {

/// One reply, and one look at the rings, is bounded in pieces and bytes; so is what we put together from
/// them.
constexpr int kMaxRounds = 1024;
constexpr std::uint64_t kLargestOffset = std::numeric_limits<std::int64_t>::max();

std::uint64_t bytes_in(const Output& output) {
  std::uint64_t bytes = 0;
  for (const OutputChunk& chunk : output.chunks)
    bytes += chunk.data.size();
  return bytes;
}

void append(Output& output, Output more) {
  std::move(more.chunks.begin(), more.chunks.end(), std::back_inserter(output.chunks));
  output.lost += more.lost;
  output.taken += more.taken;
  output.next = more.next;
  output.offsets = more.offsets;
  output.eof = more.eof;
}

}  // namespace

Result<OutputSource> OutputSource::open(TaskCore& task, const OutputOptions& options) {
  const Result<std::uint32_t> mask = stream_mask(options.streams);
  if (!mask) return fail(Failure(mask.error()));
  const Result<const TaskDirectory*> directory = task.directory();
  if (!directory) return fail(Failure(directory.error()));
  OutputSource source(task, *mask, options.joined ? ring::Pieces::kJoined : ring::Pieces::kApart);
  if (!task.output_rings || !task.output_rings->index.linked()) {
    task.output_rings.reset();
    Result<OutputRings> rings = open_output(**directory);
    if (!rings && rings.error().code != ErrorCode::kNotFound) return fail(std::move(rings).error());
    if (rings) task.output_rings = std::make_shared<const OutputRings>(std::move(*rings));
  }
  source.rings_ = task.output_rings;
  return source;
}

Output OutputSource::read_files(std::uint64_t cursor, std::uint64_t max_bytes,
                                const std::optional<OutputOffsets>& offsets) {
  const auto read = [&](std::uint64_t from, const std::optional<OutputOffsets>& at) {
    return read_output(*rings_,
                       {.cursor = from,
                        .offsets = at,
                        .mask = mask_,
                        .max_bytes = max_bytes,
                        .pieces = pieces_,
                        .tail = tail_},
                       task_->last_output);
  };
  OutputAnswer answer = read(cursor, offsets);
  if (answer.ahead && tail_ == ring::Tail::kAwaited) {
    // A living supervisor is about to record it. One that died just then has left it so.
    const Result<const TaskDirectory*> directory = task_->directory();
    const Result<bool> alive = directory ? supervisor_alive(**directory) : Result<bool>(true);
    if (alive && !*alive) {
      tail_ = ring::Tail::kGiven;
      append(answer.output, read(answer.output.next, {}).output);
    }
  }
  return std::move(answer.output);
}

Result<Output> OutputSource::read_once(std::uint64_t cursor, std::uint64_t max_bytes,
                                       const std::optional<OutputOffsets>& offsets) {
  if (rings_) return read_files(cursor, max_bytes, offsets);
  Result<wire::OutputReply> reply =
      task_->ask(wire::OutputRequest{.cursor = std::min(cursor, kLargestOffset),
                                     .streams = {mask_},
                                     .max_bytes = std::min(max_bytes, kLargestOffset)});
  if (!reply) return fail(std::move(reply).error());
  const bool eof = reply->eof;
  const wire::Gaps gap = reply->gap;
  Output output = to_output(std::move(*reply));
  output.eof = eof;
  output.gap = {.out = gap.out, .err = gap.err, .data = gap.data};
  return output;
}

OutputGap OutputSource::gap() const {
  const Result<const TaskDirectory*> directory = task_->directory();
  return rings_ && directory ? gap_in(**directory, *rings_) : OutputGap();
}

bool OutputSource::must_wait(std::uint64_t cursor) const {
  return rings_ && ring::has_reached(cursor, rings_->index.positions().limit + 1) &&
         !ring::OutputReader(rings_->index, rings_->out, rings_->err, rings_->data).at_eof(mask_);
}

Result<Output> OutputSource::read(std::uint64_t cursor, std::uint64_t max_bytes,
                                  const std::optional<OutputOffsets>& offsets) {
  Result<Output> output = read_once(cursor, max_bytes, offsets);
  if (!output) return output;
  std::uint64_t left = max_bytes - std::min(max_bytes, bytes_in(*output));
  // Only while any record fits, so that the bound is as soft as that of a single look, not softer.
  for (int round = 1; round < kMaxRounds && left >= ring::kMaxRecord && output->next != cursor; ++round) {
    if (must_wait(output->next)) break;  // no need to look in order to find nothing
    cursor = output->next;
    Result<Output> more = read_once(cursor, left, {});
    if (!more) break;  // the next call will say so
    left -= std::min(left, bytes_in(*more));
    append(*output, std::move(*more));
  }
  return output;
}

}  // namespace bgtask
