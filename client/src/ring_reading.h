// Reading a task's output straight from its ring files, without its supervisor.
#pragma once

#include <bgtask/json.h>
#include <bgtask/stream.h>
#include <bgtask/task.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "client/src/task_directory.h"
#include "protocol/ring/format.h"
#include "protocol/ring/output_reader.h"
#include "protocol/ring/ring_view.h"
#include "protocol/wire/result.h"

namespace bgtask {

/// The range of units a reader asks for; an absent `begin` is "from the first unconsumed one", an absent
/// `end` "to the end".
struct Range {
  std::optional<std::uint64_t> begin;
  std::optional<std::uint64_t> end;
};

ReadResult peek_bytes(const ring::RingView& ring, Range range);
MessagesResult peek_messages(const ring::RingView& ring, Range range);

/// The rings of one task. Keep it to read again and again.
struct OutputRings {
  ring::RingView index;
  ring::RingView out;
  ring::RingView err;
  ring::RingView data;
};
Result<OutputRings> open_output(const TaskDirectory& task);

/// The bits OutputReader wants, from the streams' names (none: all). bad_argument for other names.
Result<std::uint32_t> stream_mask(const std::vector<std::string>& streams);

struct OutputQuery {
  std::uint64_t cursor = 0;
  std::optional<OutputOffsets> offsets = {};  ///< of the cursor
  std::uint32_t mask = ring::kAllOutput;
  std::uint64_t max_bytes = 0;
  ring::Pieces pieces = ring::Pieces::kApart;
  ring::Tail tail = ring::Tail::kAwaited;
};
struct OutputAnswer {
  Output output;
  bool ahead = false;  ///< the rings hold more than is recorded (yet)
};
/// `last` is taken into account if it ended at the cursor, and brought up to date.
OutputAnswer read_output(const OutputRings& rings, const OutputQuery& query, ring::LastOutput& last);

/// Everything unconsumed of all streams, in order.
std::vector<OutputChunk> unconsumed_output(const OutputRings& rings);

}  // namespace bgtask
