// What all verbs share: the pool they work on.
#pragma once

#include <bgtask/task_pool.h>

#include <optional>
#include <string>

namespace bgtask::cli {

/// The pool named by --pool, else the default one; opened at first use, so that a verb that needs none (emit,
/// help) does not fail for want of one.
class Session {
 public:
  explicit Session(std::optional<std::string> pool_path) : path_(std::move(pool_path)) {}

  /// \throws bgtask::Error
  const TaskPool& pool();
  /// The same for verbs that only look: nullptr where there is no such directory, which is a pool without
  /// tasks to them. \throws bgtask::Error
  const TaskPool* pool_if_there();
  /// Why the pool of pool_if_there() is missing; empty if it is there.
  const std::string& why_missing() const { return why_missing_; }
  /// The same, and a pool named by --pool is made (0700) where there is none.
  const TaskPool& pool_made_if_missing();
  /// The task this process runs in. \throws UsageError outside of one
  Task own_task() const;
  /// Whether this process runs in a task.
  static bool inside_task();

 private:
  const TaskPool& open(const PoolOptions& options);

  std::optional<std::string> path_;
  std::optional<TaskPool> pool_;
  std::string why_missing_;
};

}  // namespace bgtask::cli
