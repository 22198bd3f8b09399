// Pools and tasks on disk, as a reader who trusts nobody sees them: by descriptor, no symlinks, owners
// checked.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "protocol/io/unique_fd.h"
#include "protocol/wire/json.h"
#include "protocol/wire/result.h"

namespace bgtask {

/// An open pool. `owner` is the directory's; tasks in it belong to `owner` (or root).
struct PoolDirectory {
  io::UniqueFd fd;
  std::filesystem::path path;  // absolute
  uid_t owner = 0;
};

/// Opens and checks: not_found, unsafe_pool (symlink, no directory, owner neither the caller nor root — root
/// may open anybody's —, writable by group or others), denied.
Result<PoolDirectory> open_pool(const std::filesystem::path& path);

/// $BGTASK_POOL, else by user as core.md §1 has it. Does not create anything. not_found says how to get one.
Result<std::filesystem::path> default_pool_path();

/// An open task directory and what its lock says.
struct TaskDirectory {
  io::UniqueFd fd;
  pid_t id = 0;  // the directory's name
  uid_t owner = 0;
  std::pair<dev_t, ino_t> identity = {};  // which directory it is, whatever its name
};

/// Opens POOL/ID: not_found, denied (owner or mode wrong, a symlink, …).
Result<TaskDirectory> open_task(const PoolDirectory& pool, pid_t id);

/// Whether a supervisor holds the lock. `lost`-ness is derived from this and from nothing else.
/// An error (no lock file, not a regular file) is not "dead".
Result<bool> supervisor_alive(const TaskDirectory& task);

/// In root's default pool the users' own pools lie beside root's tasks, each under its user's number.
bool is_user_pool(const PoolDirectory& pool, pid_t id);

/// Numeric names in the pool, ascending by number; other names (but hidden ones) are returned in `strange`.
/// The pools of users are among them.
Result<std::vector<pid_t>> list_ids(const PoolDirectory& pool, std::vector<std::string>* strange = nullptr);

/// The published info document with state "lost" and `running` corrected where the supervisor is dead, and,
/// unless `with_streams` is false, stream positions from the ring headers. not_found while the task has not
/// started or is being withdrawn.
Result<Json> read_snapshot(const TaskDirectory& task, bool with_streams = true);

/// The answer to a question that may stay open: nothing, or a failure where whoever asks is short of
/// something.
Result<std::optional<bool>> unknown(const Failure& reason);

/// Is the child a snapshot names still that process? (start time and boot id are compared) Nothing where
/// /proc cannot be read: then it may well be. Fails only for want of descriptors or memory.
Result<std::optional<bool>> child_alive(const Json& snapshot);

/// The task that `pid` means: a supervisor's, else a living child's, else one among `former_pids`.
Result<TaskDirectory> find_task(const PoolDirectory& pool, pid_t pid);

}  // namespace bgtask
