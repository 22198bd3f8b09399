// After a supervisor that died before it answered.
#pragma once

#include <sys/types.h>

#include <cstdint>

#include "client/src/task_directory.h"

namespace bgtask {

/// The kernel's measure of when processes start, at this moment.
uint64_t start_ticks_now();

/// Ends what the dead supervisor of a new task had started already, and removes the task's directory: a spawn
/// that failed leaves nothing. What cannot be ended or removed stays for gc. `since`: start_ticks_now()
/// before the spawn; what is older belongs to another task whose supervisor had the same pid.
void clean_up_failed_start(const PoolDirectory& pool, pid_t supervisor, uint64_t since);

}  // namespace bgtask
