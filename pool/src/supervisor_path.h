// Where the supervisor program is.
#pragma once

#include <string>

#include "protocol/wire/result.h"

namespace bgtask {

/// $BGTASK_SUPERVISOR (then that one or none), else `bgtask-supervisor` beside the running program or in the
/// same installed tree, else where it was configured to be installed, else beside or in the same installed
/// tree as the `bgtask` on $PATH. exec_failed with what was tried; `data` is then {"supervisor": PATH}.
Result<std::string> find_supervisor();

/// The failure that says that the supervisor itself, not the command, could not be executed.
Failure supervisor_failure(const std::string& path, const std::string& why, int os_error);

}  // namespace bgtask
