#include "supervisor/task/task_processes.h"

namespace bgtask::supervisor {

Status TaskProcesses::none_alive() const {
  Look look;
  const size_t alive = tree.members(&look).size();
  if (alive > 0) {
    const std::string descendants = alive == 1 ? "1 descendant of its last run is"
                                               : std::to_string(alive) + " descendants of its last run are";
    return fail(ErrorCode::kRunning, "the command has ended, but " + descendants +
                                         " alive: stop the task first, or use 'force' to "
                                         "start the command beside them");
  }
  if (!look.complete) return fail_errno("cannot look at the task's processes", look.error);
  return {};
}

}  // namespace bgtask::supervisor
