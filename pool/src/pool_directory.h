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

/// How the default pool at `path` is to be made if it is missing; nothing where that is for others to do.
std::optional<MkdirIfMissing> default_pool_mode(const std::filesystem::path& path);

}  // namespace bgtask
