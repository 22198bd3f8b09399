#include "supervisor/task/stopper.h"

#include <csignal>
#include <set>
#include <utility>

namespace bgtask::supervisor {

void Stopper::stop(const StopPlan& plan, const std::string& reason, Done done) {
  if (done) waiting_.push_back(std::move(done));
  uv_update_time(loop_.get());
  if (under_way()) return perform(termination_.join(plan, uv_now(loop_.get())));
  reason_ = reason;
  perform(termination_.begin(plan, uv_now(loop_.get())));
}

void Stopper::progress() {
  if (under_way()) perform(termination_.looked(look(), uv_now(loop_.get())));
}

void Stopper::perform(Termination::Effects effects) {
  while (!effects.result) {
    if (effects.signal != 0) {
      effects = send(effects);
    } else if (effects.look_in_ms == 0u) {
      effects = termination_.looked(look(), uv_now(loop_.get()));
    } else {
      if (effects.look_in_ms) timer_.start(loop_, *effects.look_in_ms, [this] { progress(); });
      return;
    }
  }
  timer_.stop();
  const std::vector<Done> waiting = std::exchange(waiting_, {});
  for (const Done& done : waiting)
    done(*effects.result);
}

Termination::Effects Stopper::send(const Termination::Effects& effects) {
  if (effects.signal == SIGKILL) processes_.forget_oom_kills();
  Look look;
  const std::set<pid_t> reached = processes_.tree.signal_all(effects.signal, &look);
  if (life_.child() && reached.contains(*life_.child())) life_.end_requested(reason_);
  if (effects.then_continue) processes_.tree.signal_all(SIGCONT);
  return termination_.signalled(reached, look.complete, look.error);
}

TreeView Stopper::look() const {
  Look look;
  std::vector<pid_t> alive = processes_.tree.members(&look);
  // A process whose parent died during the look may have become a child of this process meanwhile and been
  // missed: only two empty looks are believed.
  if (alive.empty()) alive = processes_.tree.members(&look);
  return {std::move(alive), look.complete, look.error, !life_.child()};
}

}  // namespace bgtask::supervisor
