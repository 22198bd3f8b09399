// What became of a task whose supervisor has closed the connection.
#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>
#include <utility>

#include "client/src/task_directory.h"
#include "protocol/wire/result.h"

namespace bgtask {

/// Identifies a task's directory without holding a descriptor of it.
struct TaskPlace {
  std::shared_ptr<const PoolDirectory> pool;
  pid_t id = 0;
  std::pair<dev_t, ino_t> identity = {};
};

/// What can be observed of it.
struct FateFacts {
  enum class Directory { kThere, kRenamed, kGone };
  enum class Lock { kFree, kHeld, kGone };
  Directory directory = Directory::kThere;
  Lock lock = Lock::kHeld;
  bool supervisor_gone = false;  ///< the process that was connected to has ended
  bool time_is_up = false;       ///< it has been looked at for long enough
};

enum class Fate {
  kLost,        ///< the supervisor is dead; another one may have taken over
  kRemoved,     ///< the task is deleted
  kSupervised,  ///< the supervisor lives and closed only the connection
  kUnclear,  ///< to be looked at again: the supervisor closes its descriptors one by one while it ends, the
             ///< lock among the last; an adopter holds the lock before it renames the directory
};

/// The rule, without looking at anything.
Fate fate_of(const FateFacts& facts);

/// Looks at the task's directory. `directory` is open where there is one, under its present name.
struct Whereabouts {
  FateFacts::Directory state = FateFacts::Directory::kGone;
  FateFacts::Lock lock = FateFacts::Lock::kGone;
  std::optional<TaskDirectory> directory;
};
/// Fails where this process is short of descriptors or memory, and where the directory or its lock cannot be
/// examined (denied).
Result<Whereabouts> find_whereabouts(const TaskPlace& place);

}  // namespace bgtask
