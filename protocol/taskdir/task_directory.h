// A task's directory as a reader sees it that trusts nobody.
#pragma once

#include <sys/types.h>

#include <utility>

#include "protocol/io/unique_fd.h"
#include "protocol/taskdir/pool_directory.h"
#include "protocol/wire/result.h"

namespace bgtask::taskdir {

struct TaskDirectory {
  io::UniqueFd fd;  // open for reading
  pid_t id = 0;     // the directory's name
  uid_t owner = 0;
  std::pair<dev_t, ino_t> identity = {};  // which directory it is, whatever its name
};

/// Opens POOL/ID: not_found, denied (owner or mode wrong, a symbolic link, …).
Result<TaskDirectory> open_task(const PoolDirectory& pool, pid_t id);

/// In root's default pool the users' own pools lie beside root's tasks, each under its user's number.
bool is_user_pool(const PoolDirectory& pool, pid_t id);

}  // namespace bgtask::taskdir
