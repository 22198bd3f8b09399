// After a supervisor that died before it answered.
#pragma once

#include <sys/types.h>

#include <cstdint>

#include "client/src/task_directory.h"
#include "protocol/wire/launch.h"

namespace bgtask {

/// The kernel's measure of when processes start, at this moment.
uint64_t start_ticks_now();

struct FailedStart {
  pid_t supervisor;
  const wire::LaunchSpec& spec;
  uint64_t since;  ///< start_ticks_now() before: an older task of that pid is another
};

/// Ends what the dead supervisor of a new task had started already, and removes the task's directory: a spawn
/// that failed leaves nothing. What cannot be ended or removed stays for gc.
void clean_up_failed_start(const PoolDirectory& pool, const FailedStart& start);

}  // namespace bgtask
