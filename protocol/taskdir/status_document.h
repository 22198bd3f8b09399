// The info document of a task as a struct, with its one encoder and decoder. A supervisor publishes it as the
// file `status` and answers `info` with it. Users' patterns and predicates work on the JSON form.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocol/taskdir/positions.h"
#include "protocol/wire/json.h"

namespace bgtask::taskdir {

/// A document is at most so long; readers refuse a longer one.
inline constexpr size_t kMaxStatusFile = 1024 * 1024;

/// State of a task. Readers derive kLost from the free lock; no supervisor publishes it.
enum class State { kRunning, kPaused, kExited, kLost, kUnknown };
const char* word(State state);  ///< "" for kUnknown
State state_of(const Json& word);

/// The part "status": the state and how the latest run ended.
struct RunStatus {
  State state = State::kUnknown;
  std::optional<bool> running =
      false;  ///< the child lives; nothing: a lost task's, where /proc does not tell
  bool paused = false;
  std::optional<int> exit_code;
  int signal = 0;  ///< that ended the run; 0: none
  bool core_dumped = false;
  std::string reason;  ///< "" where the code or signal says it all
  bool operator==(const RunStatus&) const = default;
};
Json encode(const RunStatus& status);
RunStatus decode_run_status(const Json& status);
/// Makes any value an object with a text `state` and a boolean `running`, keeping what is sound of it.
void make_sound_status(Json& status);
/// For a task whose supervisor is dead: state "lost"; `running` as the child is, null where that is unknown.
void mark_lost(Json& status, std::optional<bool> child_runs);

/// CPU time and memory of the child.
struct Usage {
  double user_seconds = 0;
  double system_seconds = 0;
  uint64_t max_rss = 0;  ///< bytes
  bool operator==(const Usage&) const = default;
};

/// A signal, pause, restart or delete that a client asked for, repetitions counted.
struct Action {
  double time = 0;  ///< of the latest, seconds since the epoch
  uid_t uid = 0;
  pid_t pid = 0;
  std::string action;
  uint64_t count = 1;
  bool operator==(const Action&) const = default;
};

struct StdinPart {
  uint64_t pending = 0;  ///< bytes in the queue
  uint64_t written = 0;  ///< bytes that the task's stdin has taken
  bool eof = false;
  bool operator==(const StdinPart&) const = default;
};
Json encode(const StdinPart& part);

struct StreamPart {
  ring::Positions positions;
  uint64_t capacity = 0;
  bool operator==(const StreamPart&) const = default;
};
Json encode(const StreamPart& part);

/// The part "supervision", only in the file: it identifies processes and pipes for adopters and readers.
struct Supervision {
  std::string boot_id;
  uint64_t start = 0;        ///< start time of the supervisor in clock ticks since boot; 0: not known
  uint64_t child_start = 0;  ///< the same of the child
  std::string cgroup;        ///< path of the task's control group; "" without one
  uint64_t stdout_pipe = 0;  ///< inode; 0: none is open
  uint64_t stderr_pipe = 0;
  bool operator==(const Supervision&) const = default;
};
/// Nothing where it is no object.
std::optional<Supervision> decode_supervision(const Json& supervision);

/// Entries that are no pids are passed over.
std::vector<pid_t> decode_pids(const Json& list);

struct StatusDocument {
  pid_t pid = 0;
  uid_t uid = 0;
  std::string version;
  int protocol = 1;
  bool persistent = true;  ///< the rings are files
  bool on_disk = false;
  std::vector<std::string> command;  ///< bytes
  std::string cwd;                   ///< bytes
  Json meta = Json::object();
  std::optional<pid_t> child_pid;
  std::vector<pid_t> former_pids;
  bool in_control_group = false;         ///< else the sub-reaper finds the task's processes
  std::optional<uint64_t> memory_limit;  ///< bytes
  std::optional<double> cpu_limit;       ///< processors
  std::optional<uint64_t> oom_kills;
  std::optional<double> timeout;           ///< seconds that a run may take
  int stop_signal = 0;                     ///< asks the task to end; 0: not told, as before 0.2.0
  double stop_grace = 0;                   ///< seconds between that and KILL
  std::optional<std::string> shared_with;  ///< a group
  std::vector<Action> actions;
  uint64_t runs = 1;
  double started_at = 0;  ///< of the latest run, seconds since the epoch
  std::optional<double> ended_at;
  RunStatus status;
  std::optional<Usage> usage;  ///< key "rusage"
  StdinPart in;
  StreamPart out;
  StreamPart err;
  StreamPart data;
  /// Known to a living supervisor only: not in the file.
  struct Live {
    uint64_t clients = 0;
    std::optional<uint64_t> descendants;  ///< nothing where they cannot be looked at
    bool operator==(const Live&) const = default;
  };
  std::optional<Live> live;
  std::optional<Supervision> supervision;  ///< in the file only
  bool operator==(const StatusDocument&) const = default;
};

/// Takes the document apart, so that nothing large is copied. A command of more than 512 KiB as JSON is cut,
/// which keeps the whole below 1 MiB: `command_cut` is then true.
Json encode(StatusDocument&& document);

/// Reads whatever is there, also single members: a member that is missing or of another type has its default.
/// Never fails; the caller has bounded the text.
StatusDocument decode(const Json& document);

/// A stream's part of a document by the stream's number; an empty object where there is none.
Json stream_of(const Json& document, int number);

/// Gives a dead task's document another id, keeping members that this version does not know.
void rename_task(Json& document, pid_t id, const std::vector<pid_t>& former_pids);

}  // namespace bgtask::taskdir
