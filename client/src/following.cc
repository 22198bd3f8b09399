#include "client/src/following.h"

#include <algorithm>
#include <string>
#include <utility>

#include "client/src/deadline.h"
#include "client/src/output.h"
#include "client/src/waiting.h"
#include "protocol/ring/output_cursor.h"

namespace bgtask {
namespace {

bool is_end_of_task(const Failure& failure) {
  return failure.code == ErrorCode::kLost || failure.code == ErrorCode::kNotFound;
}

std::uint64_t& offset_of(OutputOffsets& offsets, const std::string& stream) {
  if (stream == "data") return offsets.data;
  return stream == "stderr" ? offsets.err : offsets.out;
}

/// The cursor to read a chunk again that was cut.
std::uint64_t cursor_within(const OutputChunk& chunk, const std::optional<OutputOffsets>& offsets) {
  if (!ring::is_unrecorded(chunk.seq + 1) || !offsets) return chunk.seq;
  return ring::unrecorded_cursor({offsets->out, offsets->err, offsets->data});
}

/// While it lives, waits of the task end when the reader has hung up.
class HangupGuard {
 public:
  HangupGuard(TaskCore& task, int fd) : task_(task) { task_.until_hangup_of = fd; }
  ~HangupGuard() { task_.until_hangup_of = -1; }
  HangupGuard(const HangupGuard&) = delete;
  HangupGuard& operator=(const HangupGuard&) = delete;

 private:
  TaskCore& task_;
};

enum class Woken { kMore, kEnded, kTimeout, kHangup };

/// Sleeps in the supervisor until there is output from `cursor` on, or nothing more can come.
Result<Woken> wait_for_more(TaskCore& task, std::uint64_t cursor, const std::optional<Seconds>& left) {
  const Result<WaitResult> reply = wait_for(
      task,
      {.for_events = {"output", "eof", "exit"}, .cursor = cursor, .timeout = left, .with_status = false});
  if (reply) {
    if (reply->fired == "timeout") return Woken::kTimeout;
    return reply->fired == "output" ? Woken::kMore : Woken::kEnded;
  }
  if (has_hung_up(task.until_hangup_of)) return Woken::kHangup;
  if (is_end_of_task(reply.error())) return Woken::kEnded;
  return fail(Failure(reply.error()));
}

}  // namespace

// How much of the chunk may be handed over.
std::size_t FollowLimits::admitted(const OutputChunk& chunk) {
  std::size_t end = chunk.data.size();
  if (chunk.stream == "data") {
    if (lines_) --*lines_;
  } else {
    if (bytes_) end = static_cast<std::size_t>(std::min<std::uint64_t>(end, *bytes_));
    if (lines_) {
      for (std::size_t at = 0; *lines_ > 0 && at < end;) {
        const std::size_t newline = chunk.data.find('\n', at);
        if (newline >= end) break;
        at = newline + 1;
        if (--*lines_ == 0) end = at;
      }
    }
  }
  if (bytes_) *bytes_ -= std::min<std::uint64_t>(*bytes_, end);
  return end;
}

void FollowLimits::cut(Output& output) {
  if (!lines_ && !bytes_) return;
  std::size_t whole = 0;
  std::size_t part = 0;  // of the chunk after them
  for (; whole < output.chunks.size() && !reached(); ++whole) {
    part = admitted(output.chunks[whole]);
    if (part < output.chunks[whole].data.size()) break;
    part = 0;
  }
  if (whole == output.chunks.size()) return;
  if (output.offsets) {
    for (std::size_t i = output.chunks.size(); i-- > whole;)
      offset_of(*output.offsets, output.chunks[i].stream) = output.chunks[i].offset;
    offset_of(*output.offsets, output.chunks[whole].stream) += part;
  }
  output.next = part > 0 || whole == 0 ? cursor_within(output.chunks[whole], output.offsets)
                                       : output.chunks[whole - 1].seq + 1;
  output.eof = false;
  output.chunks.resize(whole + (part > 0 ? 1 : 0));
  if (part > 0) output.chunks.back().data.resize(part);
}

Result<FollowResult> follow_output(TaskCore& task, const FollowOptions& options,
                                   const std::function<bool(const Output&)>& callback) {
  Result<OutputSource> source = OutputSource::open(task, options.output);
  if (!source) return fail(std::move(source).error());
  const HangupGuard guard(task, options.until_hangup_of);
  const Deadline until = options.timeout ? Deadline::after(*options.timeout) : Deadline::never();
  FollowLimits limits(options.max_lines, options.max_total_bytes);
  FollowResult result{FollowEnd::kEnded, options.output.cursor, options.output.offsets};
  const auto ended_by = [&result](FollowEnd end) {
    result.end = end;
    return result;
  };
  if (limits.reached()) return ended_by(FollowEnd::kLimit);
  bool ended = false;
  for (bool started = false;; started = true) {
    Result<Output> output = source->read(result.next, options.output.max_bytes, result.offsets);
    if (!output && started && is_end_of_task(output.error())) return ended_by(FollowEnd::kEnded);
    if (!output) return fail(std::move(output).error());
    limits.cut(*output);
    const bool moved = std::exchange(result.next, output->next) != output->next;
    result.offsets = output->offsets;
    const bool something = !output->empty();
    if (something && !callback(*output)) return ended_by(FollowEnd::kStopped);
    if (limits.reached()) return ended_by(FollowEnd::kLimit);
    if (until.passed() && !ended) return ended_by(FollowEnd::kTimeout);
    if (something ? !source->must_wait(result.next) || output->eof || ended : moved) continue;
    if (output->eof || ended) {
      output->gap = source->gap();
      if (output->gap.any()) callback(*output);
      return ended_by(FollowEnd::kEnded);
    }
    const Result<Woken> woken =
        wait_for_more(task, result.next, options.timeout ? std::optional(until.left()) : std::nullopt);
    if (!woken) return fail(Failure(woken.error()));
    if (*woken == Woken::kTimeout) return ended_by(FollowEnd::kTimeout);
    if (*woken == Woken::kHangup) return ended_by(FollowEnd::kHangup);
    ended = *woken == Woken::kEnded;
  }
}

}  // namespace bgtask
