// Names of the files in a task's directory and of the directories in a pool. docs/protocol.md and
// docs/ring-format.md list them for other implementers.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>

#include "protocol/ring/format.h"

namespace bgtask::taskdir {

// Files in a task's directory.
inline constexpr const char* kControlSocket = "socket";  ///< takes every request; mode 0600
inline constexpr const char* kReadSocket = "read";       ///< takes requests that change nothing
inline constexpr const char* kLock = "lock";             ///< held with flock as long as the supervisor lives
inline constexpr const char* kFreshLock = "lock.new";    ///< a lock that is held but has no name yet
inline constexpr const char* kStatus = "status";         ///< the published info document
inline constexpr const char* kLaunch = "launch";         ///< the launch request, which a restart runs again
inline constexpr const char* kLog = "log";               ///< the supervisor's own log
inline constexpr const char* kOldLog = "log.old";        ///< the log before it became too long
inline constexpr const char* kIndex = "index";           ///< ring with one record for each piece of output

/// The ring file of an output stream.
constexpr const char* ring_name(ring::StreamId stream) {
  switch (stream) {
    case ring::StreamId::kStdout:
      return "stdout";
    case ring::StreamId::kStderr:
      return "stderr";
    case ring::StreamId::kData:
      return "data";
  }
  return "";
}
inline constexpr const char* kRings[] = {ring_name(ring::StreamId::kStdout),
                                         ring_name(ring::StreamId::kStderr), ring_name(ring::StreamId::kData),
                                         kIndex};

/// A replacement for the file `name`, written in full and then renamed to it.
inline std::string fresh_name(std::string_view name) {
  return std::string(name) + ".new";
}

// Directories in a pool. A directory whose name begins with '.' belongs to a task that is being made or
// removed; readers pass it over.
inline constexpr std::string_view kUnpublishedPrefix = ".tmp-";
inline constexpr std::string_view kWithdrawnPrefix = ".del-";

constexpr bool is_hidden(std::string_view directory) {
  return directory.starts_with('.');
}

/// The directory of a task that is being made. Derived from the first half of the launch token, so that the
/// launcher finds the directory if the supervisor dies in the middle; the other half stays secret.
inline std::string unpublished_name(std::string_view token) {
  return std::string(kUnpublishedPrefix).append(token.substr(0, token.size() / 2));
}

/// The id that a published directory's name stands for. Nothing for other names: a number with leading zeros
/// is one, since each task has exactly one name.
std::optional<pid_t> task_id(std::string_view name);

/// Beyond every pid (include/linux/threads.h: PID_MAX_LIMIT is 4 * 1024 * 1024): ids of dead tasks whose pid
/// a newer supervisor has.
inline constexpr pid_t kFirstAsideId = 4 * 1024 * 1024 + 1;

}  // namespace bgtask::taskdir
