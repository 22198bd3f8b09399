// The four rings of a task, which hold its output.
#pragma once

#include <cstdint>
#include <memory>

#include "protocol/ring/byte_ring.h"
#include "protocol/ring/index_ring.h"
#include "protocol/ring/message_ring.h"
#include "protocol/taskdir/status_document.h"
#include "protocol/wire/launch.h"
#include "protocol/wire/result.h"

namespace bgtask::supervisor {

using ring::StreamId;

inline constexpr StreamId kOutputStreams[] = {StreamId::kStdout, StreamId::kStderr, StreamId::kData};

/// The rings live as long as the task; descriptors live as long as a run of the command, or longer where a
/// descendant holds one.
struct Rings {
  ring::ByteRing out;
  ring::ByteRing err;
  ring::MessageRing data;
  ring::IndexRing index;
  bool blocking;  ///< overflow "block"

  /// New rings in `directory`, or in anonymous memory.
  static Result<std::unique_ptr<Rings>> create(int directory, const wire::LaunchSpec& spec);
  /// A dead supervisor's rings; where they were in memory, empty ones that go on at the published offsets.
  static Result<std::unique_ptr<Rings>> take_over(int directory, const wire::LaunchSpec& spec,
                                                  const taskdir::StatusDocument& published);

  ring::Positions positions(StreamId stream) const;
  uint64_t capacity(StreamId stream) const;
  void consume(StreamId stream, uint64_t end);
  void discard(StreamId stream, uint64_t end);
  void set_eof(StreamId stream, bool eof);
  void set_error(StreamId stream, int error);
  /// Output of the stream may be missing that nobody could count.
  void set_gap(StreamId stream);
};

/// Wall clock, in nanoseconds since 1970: the time of a piece of output.
uint64_t wall_clock_ns();

}  // namespace bgtask::supervisor
