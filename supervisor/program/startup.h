// From a launch request to a running supervisor.
#pragma once

#include <functional>
#include <memory>

#include "protocol/io/unique_fd.h"
#include "protocol/wire/json.h"
#include "protocol/wire/launch.h"
#include "protocol/wire/result.h"
#include "supervisor/processes/child.h"

namespace bgtask::supervisor {

struct Startup {
  wire::LaunchSpec spec;
  std::string encoded_spec;  ///< kept in the task's directory for restart and adopt
  io::UniqueFd pool;
  io::UniqueFd leader;  ///< none unless the behavior is "background"
  io::UniqueFd guard;   ///< is told the task's control group; none unless somebody stands guard
  OriginalProcess original;
  /// Told once, when the task runs ({pid, child_pid}) or could not be started.
  std::function<void(const Result<Json>&)> report;
};

/// Sets up this process as a supervisor: umask, core limit, signals, sub-reaper. Returns what the child is to
/// have instead.
OriginalProcess become_supervisor_process();

/// Gives the request of an older client the token that it lacks, and encodes it with that.
Status have_token(Startup& startup);

/// A running task and what serves it. On the heap, where starting has left room for it: an idle supervisor
/// then needs little of its stack.
struct Service;
struct ServiceEnd {
  void operator()(Service* service) const;
};
using ServicePtr = std::unique_ptr<Service, ServiceEnd>;

/// Starts (or adopts) the task and reports; none if that failed.
ServicePtr begin(Startup startup);

/// Serves until the task is deleted, and returns this process's exit status. To be called near the top of the
/// stack: what lies below is given back.
int serve(ServicePtr service);

}  // namespace bgtask::supervisor
