// Removing a task whose supervisor is dead.
#pragma once

#include "client/src/task_directory.h"
#include "protocol/wire/result.h"

namespace bgtask {

/// Removes the directory of a task whose supervisor is dead, under its lock; see taskdir::remove().
/// running: a supervisor holds the lock, or the child is alive; nothing was changed. not_found: the directory
/// has lost its name meanwhile.
Status remove_dead_task(const PoolDirectory& pool, TaskDirectory&& task);

}  // namespace bgtask
