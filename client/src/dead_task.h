// Removing a task that has nobody to remove it.
#pragma once

#include "client/src/task_directory.h"
#include "protocol/wire/result.h"

namespace bgtask {

/// Removes the directory of a task whose supervisor is dead: takes its lock, renames the directory to a
/// hidden name, deletes the files in it (never following a link, never going deeper), then the directory.
/// running: the lock cannot be had, or the child is alive; nothing was changed. not_found: somebody else did
/// it.
Status remove_dead_task(const PoolDirectory& pool, TaskDirectory&& task);

}  // namespace bgtask
