// How a supervisor is told what to run, and how it answers.
//
// The launcher starts `bgtask-supervisor --launch` with these descriptors and no others:
//   0, 1, 2        /dev/null
//   kSpecFd        a memfd: the LaunchSpec, msgpack-encoded, complete, to be read from offset 0
//   kPoolFd        O_PATH or O_RDONLY descriptor of the pool's directory, already checked
//   kReplyFd       SOCK_SEQPACKET: exactly one message comes back, a msgpack map, then EOF. Not open where a
//   process
//                  has become the supervisor by exec: 0, 1 and 2 are then its own, and it tells on 1 and 2
//   kLeaderFd      only where spec.behavior is "background": a pidfd of the caller's session leader
// The reply is {"pid": supervisor, "child_pid": n} or {"error": {as in an error reply: code, message, data}}.
// EOF without a message means that the supervisor died. The launched process detaches by itself no further
// than setsid(): the launcher sees to it that the supervisor is nobody's zombie (see client of this header).
#pragma once

#include <sys/types.h>

#include <csignal>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "protocol/wire/json.h"
#include "protocol/wire/result.h"

namespace bgtask::wire {

inline constexpr int kSpecFd = 3;
inline constexpr int kPoolFd = 4;
inline constexpr int kReplyFd = 5;
inline constexpr int kLeaderFd = 6;

/// Whom the child runs as; resolved by the launcher, for the static supervisor asks no name service.
struct UserSpec {
  std::string name;
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;
};

/// A group whose members may watch the task; resolved by the launcher.
struct GroupSpec {
  std::string name;
  gid_t gid = 0;
};

/// For a supervisor that has taken the place of the process that was started (exec).
struct InPlaceSpec {
  bool forward_output = false;    ///< the task's stdout and stderr to the supervisor's own
  bool end_with_command = false;  ///< delete the task when its command has ended
};

struct LaunchSpec {
  std::vector<std::string> exec;
  std::vector<std::string> env;  ///< "K=V", complete but for BGTASK_*
  std::string cwd;               ///< absolute
  mode_t umask = 022;
  std::map<std::string, std::pair<uint64_t, uint64_t>> limits;  ///< soft, hard; UINT64_MAX is "unlimited"
  std::optional<UserSpec> user;
  int nice = 0;
  bool stdin_pipe = true;
  Json meta = Json::object();
  uint64_t buffer = 1 << 20;
  uint64_t retain = 0;
  bool overflow_block = false;
  bool rings_in_memory = false;
  std::string behavior = "daemon";  ///< daemon, background, foreground
  std::string lock_file;            ///< absolute, or empty
  bool kill_on_supervisor_death = false;
  uint64_t memory = 0;  ///< bytes that all processes together may use; 0: no limit of this task's own
  double cpus = 0;      ///< processors that they may use; 0: no limit. Both may be missing, as the next
  std::optional<GroupSpec> share_with;  ///< may be missing in a request of an older client
  std::optional<InPlaceSpec> in_place;  ///< may be missing in a request of an older client
  /// In the environment of every process of the task: how they are known again when their parents are gone.
  /// Missing in a request of an older client.
  std::string token;
  /// Seconds that a run may take. This one and the next two are missing in a request of an older client.
  std::optional<double> timeout;
  int stop_signal = SIGTERM;         ///< asks the task's processes to end; KILL follows after the grace
  std::optional<double> stop_grace;  ///< seconds between the two; none: the default of what ends the task
  std::string pool_path;             ///< absolute; for BGTASK_POOL
  std::optional<pid_t>
      adopt;  ///< take over this dead task instead (everything else but pool_path is ignored)
};

Json to_json(const LaunchSpec& spec);
/// bad_argument naming the member that is missing or wrong; version_mismatch.
Result<LaunchSpec> launch_spec(const Json& document);

/// RLIMIT_* for a name as setrlimit spells it ("nofile"); nothing for an unknown one.
std::optional<int> resource_number(const std::string& name);

}  // namespace bgtask::wire
