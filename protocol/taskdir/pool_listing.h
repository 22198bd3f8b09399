// Which tasks are in a pool.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "protocol/taskdir/task_directory.h"
#include "protocol/wire/result.h"

namespace bgtask::taskdir {

/// Numeric names in the pool, ascending by number; other names that are not hidden are added to `strange`.
/// Users' own pools in root's pool are among the numbers.
Result<std::vector<pid_t>> list_ids(const PoolDirectory& pool, std::vector<std::string>* strange = nullptr);

/// The task that `pid` means: a supervisor's, else a living child's, else one among the former ids.
Result<TaskDirectory> find_task(const PoolDirectory& pool, pid_t pid);

/// The directory that was the task `id`, under the name it has now: an adopter's pid, or that of a dead task
/// moved aside. Nothing where the directory is removed, or being removed. Fails only for want of descriptors
/// or memory.
Result<std::optional<TaskDirectory>> find_renamed(const PoolDirectory& pool, pid_t id,
                                                  std::pair<dev_t, ino_t> identity);

/// Directories of tasks that are being made or removed, or whose making or removal was cut short.
struct HiddenNames {
  std::vector<std::string> unpublished;
  std::vector<std::string> withdrawn;
};
HiddenNames list_hidden(const PoolDirectory& pool);

}  // namespace bgtask::taskdir
