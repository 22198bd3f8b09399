// Ends a task's processes by a stop plan: a plain state machine without clock, loop or processes. Serves
// `stop`, `delete`, a run's timeout, and HUP, INT and TERM to the supervisor alike.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <set>
#include <vector>

#include "protocol/wire/messages/replies.h"
#include "supervisor/task/stop_plan.h"

namespace bgtask::supervisor {

/// One look at the task's processes.
struct TreeView {
  std::vector<pid_t> alive;
  bool complete = true;  ///< false: some processes could not be looked at, and there may be more
  int error = 0;         ///< errno that made it incomplete
  bool command_reaped = true;
};

struct StopResult {
  enum class Kind {
    kStopped,       ///< no process is left
    kNotSignalled,  ///< the processes could not be looked at; none was signalled
    kIncomplete,    ///< processes survived KILL, or could not be looked at
  };
  Kind kind = Kind::kStopped;
  wire::Receipt receipt;  ///< signalled: asked to end; exited: of these, without KILL
  int error = 0;          ///< errno where processes could not be looked at
};

class Termination {
 public:
  /// What is to be done next: the first of these that is set.
  struct Effects {
    std::optional<StopResult> result = {};    ///< the end of this termination
    int signal = 0;                           ///< send it to every process, then call signalled()
    bool then_continue = false;               ///< ... and CONT after it: a stopped process acts on no signal
    std::optional<uint64_t> look_in_ms = {};  ///< look at the processes after so long, then call looked()
  };

  /// All times are milliseconds of one monotonic clock.
  Effects begin(const StopPlan& plan, uint64_t now);
  /// Another request while this one is under way: it can shorten the time until KILL, never lengthen it.
  Effects join(const StopPlan& plan, uint64_t now);
  /// The signal of the last effects has been sent to `processes`. `complete`, `error` as in a TreeView.
  Effects signalled(const std::set<pid_t>& processes, bool complete, int error);
  /// May be called at any time, for example when a child has ended.
  Effects looked(const TreeView& view, uint64_t now);

  bool under_way() const { return phase_ != Phase::kIdle; }

 private:
  enum class Phase { kIdle, kAsking, kKilling };

  Effects ask(uint64_t now);
  Effects kill(uint64_t now);
  Effects kill_round();
  Effects finish(StopResult::Kind kind, const TreeView& view);
  uint64_t until_next_look(uint64_t now) const;

  Phase phase_ = Phase::kIdle;
  std::vector<StopStep> steps_;
  size_t step_ = 0;
  uint64_t step_began_ = 0;
  uint64_t deadline_ = 0;  // of the step, or of killing
  int rounds_left_ = 0;    // of KILL, before it may be given up
  std::set<pid_t> signalled_;
  std::set<pid_t> killed_;
};

}  // namespace bgtask::supervisor
