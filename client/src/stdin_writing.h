// Writing to a task's stdin until all of it is taken.
#pragma once

#include <string>
#include <string_view>

#include "client/src/task_core.h"
#include "protocol/wire/result.h"

namespace bgtask {

/// To the stream of that name, waiting for room as the task reads.
Status write_whole(TaskCore& task, const std::string& stream, std::string_view data);

}  // namespace bgtask
