// Starting a task only once by name.
#pragma once

#include <bgtask/task_pool.h>

#include <optional>
#include <string>

namespace bgtask::cli {

/// Held while it is decided whether a task of some name is to be started, so that of two `run --if-exists` at
/// the same time one sees the other's task. Lets go when it is destroyed.
class NamedStartLock {
 public:
  /// Waits for the lock. \throws UsageError if the pool cannot be locked
  explicit NamedStartLock(const TaskPool& pool);
  ~NamedStartLock();
  NamedStartLock(const NamedStartLock&) = delete;
  NamedStartLock& operator=(const NamedStartLock&) = delete;

 private:
  int fd_;
};

/// What `run --if-exists POLICY --name NAME` does about tasks that have the name, running or ended: attach
/// gives the newest of them, restart the same after having run its command again if it had ended, replace
/// deletes them all; fail \throws UsageError. Nothing: a new task is to be started.
std::optional<Task> settle_existing(const TaskPool& pool, const std::string& name, const std::string& policy);

}  // namespace bgtask::cli
