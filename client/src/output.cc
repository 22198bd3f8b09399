#include "client/src/output.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <string>
#include <utility>

#include "client/src/replies.h"
#include "client/src/stream_names.h"
#include "client/src/waiting.h"
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
  output.lost.out += more.lost.out;
  output.lost.err += more.lost.err;
  output.lost.data += more.lost.data;
  output.next = more.next;
  output.eof = more.eof;
}

bool is_end_of_task(const Failure& failure) {
  return failure.code == ErrorCode::kLost || failure.code == ErrorCode::kNotFound;
}

/// Sleeps in the supervisor until there is output from `cursor` on; true if there will be no more than there
/// is.
Result<bool> wait_for_end_or_output(TaskCore& task, std::uint64_t cursor) {
  const Result<WaitResult> reply =
      wait_for(task, {.for_events = {"output", "eof", "exit"}, .cursor = cursor, .with_status = false});
  if (reply) return reply->fired != "output";
  if (is_end_of_task(reply.error())) return true;
  return fail(Failure(reply.error()));
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

Result<Output> OutputSource::read_once(std::uint64_t cursor, std::uint64_t max_bytes) {
  if (rings_) return read_output(*rings_, cursor, mask_, max_bytes, pieces_, task_->output_place);
  Result<wire::OutputReply> reply =
      task_->ask(wire::OutputRequest{.cursor = std::min(cursor, kLargestOffset),
                                     .streams = {mask_},
                                     .max_bytes = std::min(max_bytes, kLargestOffset)});
  if (!reply) return fail(std::move(reply).error());
  const bool eof = reply->eof;
  Output output = to_output(std::move(*reply));
  output.eof = eof;
  return output;
}

bool OutputSource::must_wait(std::uint64_t cursor) const {
  return rings_ && cursor > rings_->index.positions().limit &&
         !ring::OutputReader(rings_->index, rings_->out, rings_->err, rings_->data).at_eof(mask_);
}

Result<Output> OutputSource::read(std::uint64_t cursor, std::uint64_t max_bytes) {
  Result<Output> output = read_once(cursor, max_bytes);
  if (!output) return output;
  std::uint64_t left = max_bytes - std::min(max_bytes, bytes_in(*output));
  // Only while any record fits, so that the bound is as soft as that of a single look, not softer.
  for (int round = 1; round < kMaxRounds && left >= ring::kMaxRecord && output->next > cursor; ++round) {
    if (must_wait(output->next)) break;  // no need to look in order to find nothing
    cursor = output->next;
    Result<Output> more = read_once(cursor, left);
    if (!more) break;  // the next call will say so
    left -= std::min(left, bytes_in(*more));
    append(*output, std::move(*more));
  }
  return output;
}

Result<std::uint64_t> follow_output(TaskCore& task, const std::function<bool(const Output&)>& callback,
                                    const OutputOptions& options) {
  Result<OutputSource> source = OutputSource::open(task, options);
  if (!source) return fail(std::move(source).error());
  std::uint64_t cursor = options.cursor;
  for (bool ended = false;;) {
    const Result<Output> output = source->read(cursor, options.max_bytes);
    if (!output && is_end_of_task(output.error())) return cursor;
    if (!output) return fail(Failure(output.error()));
    const bool moved = std::exchange(cursor, output->next) < output->next;
    if (!output->chunks.empty() || output->lost.any()) {
      if (!callback(*output)) return cursor;
      if (!source->must_wait(cursor) || output->eof || ended) continue;
    } else {
      if (moved) continue;
      if (output->eof || ended) return cursor;
    }
    const Result<bool> end = wait_for_end_or_output(task, cursor);
    if (!end) return fail(Failure(end.error()));
    ended = *end;
  }
}

}  // namespace bgtask
