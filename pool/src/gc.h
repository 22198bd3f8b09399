// Removing what nobody is responsible for any more.
#pragma once

#include <sys/types.h>

#include <vector>

#include "client/src/task_directory.h"
#include "protocol/wire/result.h"

namespace bgtask {

/// Removes tasks whose supervisor is dead and whose child is gone, and hidden remains of spawns and deletes
/// that were cut short. What cannot be read, locked or understood stays. Returns the ids of the tasks
/// removed.
Result<std::vector<pid_t>> collect_garbage(const PoolDirectory& pool);

/// The hidden remains only.
void collect_remains(const PoolDirectory& pool);

}  // namespace bgtask
