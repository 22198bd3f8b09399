// What spawn was asked for, checked, and in the form in which the supervisor takes it.
#pragma once

#include <bgtask/task_pool.h>

#include <filesystem>

#include "protocol/wire/launch.h"
#include "protocol/wire/result.h"

namespace bgtask {

/// Largest ring that may be asked for, bytes. More is a mistake: it would only fail later and less clearly.
inline constexpr std::uint64_t kMaxRing = std::uint64_t{1} << 40;

/// Everything taken from the caller's surroundings (environment, cwd, umask, user database) is resolved here.
/// bad_argument naming the option that is missing or wrong (for an unknown user with os_error ENOENT); denied
/// for another user than the caller's where the caller is not root.
Result<wire::LaunchSpec> spawn_request(const SpawnOptions& options, const std::filesystem::path& pool_path);

}  // namespace bgtask
