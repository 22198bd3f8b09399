#include "client/src/dead_task.h"

#include <unistd.h>

#include <optional>
#include <string>
#include <utility>

#include "protocol/taskdir/removal.h"

namespace bgtask {
namespace {

std::string name_of(const TaskDirectory& task) {
  return "task " + std::to_string(task.id);
}

/// The child of a task that was never published ended with its supervisor, which held it back.
Status check_child_is_gone(const TaskDirectory& task) {
  const Result<Snapshot> snapshot = Snapshot::read(task);
  if (!snapshot && snapshot.error().code != ErrorCode::kNotFound) return fail(Failure(snapshot.error()));
  if (!snapshot) return {};
  const Result<std::optional<bool>> alive = snapshot->child_alive();
  if (!alive) return fail(Failure(alive.error()));
  if (!*alive) {
    return fail(ErrorCode::kRunning, "the supervisor of " + name_of(task) +
                                         " is dead, and /proc does not tell whether its command is");
  }
  if (!**alive) return {};
  return fail(ErrorCode::kRunning,
              "the supervisor of " + name_of(task) +
                  " is dead but its command still runs: adopt the task first, then delete it");
}

/// The control group that the task had; "" where there is none. A path that another user wrote is not
/// followed.
std::string control_group(const TaskDirectory& task) {
  if (task.owner != ::geteuid()) return "";
  const Result<Snapshot> snapshot = Snapshot::read(task);
  const std::optional<taskdir::Supervision> supervision = snapshot ? snapshot->supervision() : std::nullopt;
  return supervision ? supervision->cgroup : "";
}

}  // namespace

Status remove_dead_task(const PoolDirectory& pool, TaskDirectory&& task) {
  const TaskDirectory doomed = std::move(task);
  if (Status gone = check_child_is_gone(doomed); !gone) return gone;
  const Result<io::UniqueFd> lock = taskdir::take_lock(doomed.fd.get(), name_of(doomed));
  if (!lock) return fail(Failure(lock.error()));
  taskdir::Place place{pool.fd.get(), doomed.fd.get(), std::to_string(doomed.id)};
  // Only a holder of the lock renames a dead task's directory, so that the answer stays true.
  const Result<bool> named = taskdir::in_place(place);
  if (!named) return fail(Failure(named.error()));
  if (!*named) return fail(ErrorCode::kNotFound, name_of(doomed) + " is gone");
  const std::string group = control_group(doomed);
  if (Status removed = taskdir::remove(place); !removed) {
    removed.error().message.insert(0, name_of(doomed) + ": ");
    return removed;
  }
  if (!group.empty()) ::rmdir(group.c_str());  // fails where processes are in it
  return {};
}

}  // namespace bgtask
