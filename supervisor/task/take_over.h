// Sets up a task that a dead supervisor left behind.
#pragma once

#include <sys/types.h>

#include <vector>

#include "supervisor/task/task_parts.h"

namespace bgtask::supervisor {

/// Takes over rings, state, and the streams of a child that lives, from what the dead supervisor published.
Status take_over(TaskParts& parts, const taskdir::StatusDocument& published, std::vector<pid_t> former_ids);

}  // namespace bgtask::supervisor
