// Exit statuses, and what a task's end is as one.
#pragma once

#include <bgtask/json.h>

namespace bgtask::cli {

inline constexpr int kExitTimeout = 124;        ///< the time given was up
inline constexpr int kExitFailure = 125;        ///< bgtask itself failed, or was used wrongly
inline constexpr int kExitNotExecutable = 126;  ///< the command was found but could not be executed
inline constexpr int kExitNotFound = 127;       ///< the command was not found
inline constexpr int kExitSignalBase = 128;     ///< plus n: ended by signal n

/// What a task that ended with `status` (that part of the info document) makes bgtask exit with: its exit
/// code, 128 + n for a signal, kExitTimeout where its own time limit did, kExitFailure where nobody knows
/// how.
int exit_status_of(const Json& status);
/// Whether it says how the task ended.
bool knows_end(const Json& status);

}  // namespace bgtask::cli
