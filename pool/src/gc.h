// Removing what nobody is responsible for any more.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "client/src/task_directory.h"
#include "protocol/wire/result.h"

namespace bgtask {

/// Removes tasks whose supervisor is dead and whose child and descendants are gone, and hidden remains of
/// spawns and deletes that were cut short. What cannot be read, locked or understood stays. Returns the ids
/// of the tasks removed.
Result<std::vector<pid_t>> collect_garbage(const PoolDirectory& pool);

/// The hidden directory of that name, whose supervisor is known to be dead.
void collect_remains_of(const PoolDirectory& pool, const std::string& name);

}  // namespace bgtask
