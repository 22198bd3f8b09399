// What a process inside a task knows of it.
#pragma once

#include <sys/types.h>

#include <optional>

namespace bgtask {

/// The task this process runs in by $BGTASK_PID; nothing outside of one.
std::optional<pid_t> own_task_id();

}  // namespace bgtask
