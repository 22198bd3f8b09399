// Tasks in the order and number that `ls` is asked for.
#pragma once

#include <bgtask/task.h>

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "pool/src/task_processes.h"

namespace bgtask::cli {

/// What tasks are sorted by. Nothing where a task has no such value.
using SortValue = std::variant<std::monostate, double, std::string>;

/// Numbers before texts, and what has no value last, whatever the direction.
bool sorts_before(const SortValue& a, const SortValue& b, bool reverse);

/// A key of `ls --sort`: pid, name, state, age, ended (since the end), exit, run, cpu, mem, user, command, or
/// a path in the info document ("meta.team"). With "-" before it the order is reversed.
class TaskOrder {
 public:
  /// \throws UsageError for an empty key
  explicit TaskOrder(const std::string& text);

  /// Sorts tasks by their published documents; tasks with the same value stay as they are.
  void sort(std::vector<Task>& tasks, TaskProcesses& processes, double now) const;
  /// The value that a task is sorted by.
  SortValue value(const Json& info, const ProcessUsage& live, double now) const;

 private:
  std::string key_;
  bool reverse_ = false;
};

}  // namespace bgtask::cli
