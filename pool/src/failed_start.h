// After a supervisor that died before it answered.
#pragma once

#include <sys/types.h>

#include "client/src/task_directory.h"

namespace bgtask {

/// Ends what the dead supervisor of a new task had started already, and removes the task's directory: a spawn
/// that failed leaves nothing. What cannot be ended or removed stays for gc.
void clean_up_failed_start(const PoolDirectory& pool, pid_t supervisor);

}  // namespace bgtask
