// Making a pool's directory.
#pragma once

#include <bgtask/task_pool.h>

#include <filesystem>
#include <optional>

#include "protocol/wire/result.h"

namespace bgtask {

/// Makes the last component of `path` with exactly the mode and owner asked for, whatever the umask. Where
/// something has that name already it is left as it is, for open_pool to judge. Leaves nothing behind on
/// failure.
Status make_pool_directory(const std::filesystem::path& path, const MkdirIfMissing& how);

/// How to make a missing default pool; nothing where root or the caller has to make it.
std::optional<MkdirIfMissing> default_pool_mode();

}  // namespace bgtask
