// Reading one stream of a task: consuming through the supervisor, without consuming from the ring file where
// there is one. Both ways give the same results.
#pragma once

#include <bgtask/stream.h>

#include <cstdint>
#include <optional>

#include "client/src/ring_reading.h"
#include "client/src/task_core.h"
#include "protocol/wire/result.h"

namespace bgtask {

Result<ReadResult> peek_stream(TaskCore& task, int stream, Range range);
/// Where the supervisor is dead this is peek_stream.
Result<ReadResult> read_stream(TaskCore& task, int stream, Range range);
Result<ReadResult> discard_stream(TaskCore& task, int stream, std::optional<std::uint64_t> end);

/// At most `count` from the first unconsumed byte (message) on. Where the supervisor is dead they stay there.
Result<ReadResult> take_stream(TaskCore& task, int stream, std::uint64_t count);
Result<MessagesResult> take_data(TaskCore& task, std::uint64_t count);

Result<MessagesResult> peek_data(TaskCore& task, Range range);
Result<MessagesResult> read_data(TaskCore& task, Range range);

/// The stream's part of the info document.
Result<Json> stream_info(TaskCore& task, int stream);

}  // namespace bgtask
