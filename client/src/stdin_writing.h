// Writing to a task's stdin until all of it is taken.
#pragma once

#include <string_view>

#include "client/src/task_core.h"
#include "protocol/wire/messages.h"
#include "protocol/wire/result.h"

namespace bgtask {

/// One `write`: what there is room for.
Result<wire::WriteReply> write_piece(TaskCore& task, wire::Stream stream, std::string_view data);

/// All of it, waiting for room as the task reads.
Status write_whole(TaskCore& task, wire::Stream stream, std::string_view data);

}  // namespace bgtask
