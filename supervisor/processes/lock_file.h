// The optional lock that keeps a second task of the same kind from starting.
#pragma once

#include <string>

#include "protocol/io/unique_fd.h"
#include "protocol/wire/result.h"

namespace bgtask::supervisor {

/// Opens (making it, 0600, if need be) and locks `path` with flock. locked, naming the holder's pid, if
/// another process has it. The lock is held until the descriptor is closed.
Result<io::UniqueFd> acquire_lock_file(const std::string& path);

}  // namespace bgtask::supervisor
