// Keys of the info document for readers who ask for single members of it. docs/info.schema.json says what
// each of them holds.
#pragma once

namespace bgtask::taskdir::key {

inline constexpr const char* kPid = "pid";
inline constexpr const char* kUid = "uid";
inline constexpr const char* kVersion = "version";
inline constexpr const char* kProtocol = "protocol";
inline constexpr const char* kPersistent = "persistent";
inline constexpr const char* kOnDisk = "on_disk";
inline constexpr const char* kCommand = "command";
inline constexpr const char* kCwd = "cwd";
inline constexpr const char* kMeta = "meta";
inline constexpr const char* kChildPid = "child_pid";
inline constexpr const char* kFormerPids = "former_pids";
inline constexpr const char* kContainment = "containment";
inline constexpr const char* kMemoryLimit = "memory_limit";
inline constexpr const char* kCpuLimit = "cpu_limit";
inline constexpr const char* kTimeout = "timeout";
inline constexpr const char* kStopSignal = "stop_signal";
inline constexpr const char* kStopGrace = "stop_grace";
inline constexpr const char* kOomKills = "oom_kills";
inline constexpr const char* kSharedWith = "shared_with";
inline constexpr const char* kActions = "actions";
inline constexpr const char* kRuns = "runs";
inline constexpr const char* kStartedAt = "started_at";
inline constexpr const char* kEndedAt = "ended_at";
inline constexpr const char* kStatus = "status";
inline constexpr const char* kRusage = "rusage";
inline constexpr const char* kStreams = "streams";
inline constexpr const char* kClients = "clients";
inline constexpr const char* kDescendants = "descendants";
inline constexpr const char* kSupervision = "supervision";

}  // namespace bgtask::taskdir::key
