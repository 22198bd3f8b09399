#include "cli/exit_status.h"

#include "protocol/taskdir/status_document.h"

namespace bgtask::cli {

int exit_status_of(const Json& status) {
  const taskdir::RunStatus run = taskdir::decode_run_status(status);
  if (run.reason == "timeout") return kExitTimeout;
  if (run.exit_code) return *run.exit_code & 0xff;
  return run.signal != 0 ? kExitSignalBase + run.signal : kExitFailure;
}

bool knows_end(const Json& status) {
  const taskdir::RunStatus run = taskdir::decode_run_status(status);
  return run.exit_code || run.signal != 0;
}

}  // namespace bgtask::cli
