// Live processes of a task, found in /proc by a client: no supervisor is woken.
#pragma once

#include <bgtask/json.h>
#include <bgtask/task.h>
#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "client/src/task_directory.h"

namespace bgtask {

/// Value of a variable in the environment a process was started with; nothing if it cannot be read or is not
/// there.
std::optional<std::string> initial_environment(pid_t pid, const std::string& name);

/// What processes use together.
struct ProcessUsage {
  std::uint64_t processes = 0;
  double cpu_seconds = 0;  ///< of the processes themselves and of their children that have been waited for
  std::uint64_t resident = 0;  ///< bytes; pages that are shared count once for each process
};
ProcessUsage usage_of(const std::vector<pid_t>& processes);

/// Finds processes of tasks. The first question that needs it reads /proc once; its answers are of that
/// moment.
class TaskProcesses {
 public:
  /// Live processes of the task of this published info document: below its supervisor, and where that is dead
  /// or has adopted the task, by the token in their environment. Zombies, other supervisors and the tasks of
  /// those do not count. A child that runs does.
  std::vector<pid_t> of(const Task& task, const Json& info);
  /// The same for a task whose supervisor is dead. Empty where its token is not known.
  std::vector<pid_t> left_by(const TaskDirectory& dead);

 private:
  std::vector<pid_t> with_token(const std::string& token);

  std::optional<std::map<std::string, std::vector<pid_t>>> by_token_;
};

}  // namespace bgtask
