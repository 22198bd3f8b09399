// Carries out terminations: sends the signals, looks at the processes, keeps the time.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "protocol/io/uv_handles.h"
#include "supervisor/task/lifecycle.h"
#include "supervisor/task/task_processes.h"
#include "supervisor/task/termination.h"

namespace bgtask::supervisor {

class Stopper {
 public:
  using Done = std::function<void(const StopResult&)>;

  /// All of them must outlive it.
  Stopper(io::Loop& loop, TaskProcesses& processes, Lifecycle& life)
      : loop_(loop), processes_(processes), life_(life) {}

  /// Ends every process of the task. A request that comes while another is under way shares its outcome.
  /// `reason` becomes that of the command's end, if the command is alive. `done` may be none, and may be
  /// called before this returns.
  void stop(const StopPlan& plan, const std::string& reason, Done done);
  bool under_way() const { return termination_.under_way(); }
  /// A process has ended: looks whether any is left.
  void progress();

 private:
  void perform(Termination::Effects effects);
  Termination::Effects send(const Termination::Effects& effects);
  TreeView look() const;

  io::Loop& loop_;
  TaskProcesses& processes_;
  Lifecycle& life_;
  Termination termination_;
  std::string reason_;
  std::vector<Done> waiting_;
  io::Timer timer_;
};

}  // namespace bgtask::supervisor
