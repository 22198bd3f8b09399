// For tasks of which nothing may be left when their supervisor dies.
#pragma once

#include <string>

#include "protocol/io/unique_fd.h"
#include "protocol/wire/result.h"

namespace bgtask::supervisor {

/// Forks. In the caller, which becomes the guard, it never returns: the guard is the sub-reaper above the
/// supervisor, sleeps until that ends, then kills what is left of the task, known by its `token` and its
/// control group, and exits. In the new process, which is to become the supervisor, it returns where to
/// write the path of that group before the command starts; closed without it there is none.
Result<io::UniqueFd> fork_below_guard(const std::string& token);

}  // namespace bgtask::supervisor
