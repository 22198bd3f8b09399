// Hears of the end of a child that a dead supervisor left behind: it is another process's child, so the
// kernel sends no SIGCHLD for it.
#pragma once

#include <functional>

#include "protocol/io/uv_handles.h"
#include "supervisor/processes/adoption.h"
#include "supervisor/task/lifecycle.h"

namespace bgtask::supervisor {

class AdoptedChild {
 public:
  struct Listener {
    std::function<void()> gone;            ///< the process has ended; its exit status may not be known yet
    std::function<void(Outcome)> settled;  ///< called once, after `gone`
  };
  AdoptedChild(io::Loop& loop, Listener listener) : loop_(loop), listener_(std::move(listener)) {}

  /// Watches the process. `pidfd` must outlive the watching.
  Status watch(const io::UniqueFd& pidfd);

 private:
  void settle(int tries);

  io::Loop& loop_;
  Listener listener_;
  const io::UniqueFd* pidfd_ = nullptr;
  io::Poll poll_;
  io::Timer retry_;
};

}  // namespace bgtask::supervisor
