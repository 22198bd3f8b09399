#include "client/src/task_fate.h"

#include <utility>

namespace bgtask {
namespace {

using Directory = FateFacts::Directory;
using Lock = FateFacts::Lock;

Result<Lock> lock_of(const TaskDirectory& task) {
  const Result<bool> alive = supervisor_alive(task);
  if (alive) return *alive ? Lock::kHeld : Lock::kFree;
  if (alive.error().code == ErrorCode::kNotFound) return Lock::kGone;
  return fail(Failure(alive.error()));
}

}  // namespace

Fate fate_of(const FateFacts& facts) {
  if (facts.directory == Directory::kGone) return Fate::kRemoved;
  if (facts.directory == Directory::kRenamed) return Fate::kLost;  // by an adopter, or as a dead task
  switch (facts.lock) {
    case Lock::kGone:
      return Fate::kRemoved;  // the lock is the last of a task's files that a deletion removes
    case Lock::kFree:
      return Fate::kLost;
    case Lock::kHeld:
      break;
  }
  if (!facts.time_is_up) return Fate::kUnclear;
  return facts.supervisor_gone ? Fate::kLost : Fate::kSupervised;
}

Result<Whereabouts> find_whereabouts(const TaskPlace& place) {
  Whereabouts found;
  Result<TaskDirectory> task = open_task(*place.pool, place.id);
  if (!task && task.error().code != ErrorCode::kNotFound) return fail(std::move(task).error());
  if (task && task->identity == place.identity) {
    found.state = Directory::kThere;
    found.directory = std::move(*task);
  } else {
    Result<std::optional<TaskDirectory>> renamed = find_renamed(*place.pool, place.id, place.identity);
    if (!renamed) return fail(std::move(renamed).error());
    if (!*renamed) return found;
    found.state = Directory::kRenamed;
    found.directory = std::move(**renamed);
  }
  const Result<Lock> lock = lock_of(*found.directory);
  if (!lock) return fail(Failure(lock.error()));
  found.lock = *lock;
  return found;
}

}  // namespace bgtask
