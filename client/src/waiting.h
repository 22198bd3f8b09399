// Waiting, in the supervisor, for what happens to a task.
#pragma once

#include <bgtask/task.h>

#include "client/src/task_core.h"
#include "protocol/wire/result.h"

namespace bgtask {

/// See Task::wait. A supervisor that does not know replies without a status gives one all the same.
Result<WaitResult> wait_for(TaskCore& task, const WaitOptions& options);

}  // namespace bgtask
