// Which tasks are in a pool.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "protocol/taskdir/task_directory.h"
#include "protocol/wire/result.h"

namespace bgtask::taskdir {

/// Numeric names in the pool, ascending by number; other names that are not hidden are added to `strange`.
/// Users' own pools in root's pool are among the numbers.
Result<std::vector<pid_t>> list_ids(const PoolDirectory& pool, std::vector<std::string>* strange = nullptr);

/// The task that `pid` means: a supervisor's, else a living child's, else one among the former ids.
Result<TaskDirectory> find_task(const PoolDirectory& pool, pid_t pid);

/// Directories of tasks that are being made or removed, or whose making or removal was cut short.
struct HiddenNames {
  std::vector<std::string> unpublished;
  std::vector<std::string> withdrawn;
};
HiddenNames list_hidden(const PoolDirectory& pool);

}  // namespace bgtask::taskdir
