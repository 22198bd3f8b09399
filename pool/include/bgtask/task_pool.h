/// \file
/// Spawning and finding tasks.
#pragma once

#include <bgtask/error.h>
#include <bgtask/json.h>
#include <bgtask/task.h>
#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace bgtask {

/// What the child's stdin is.
enum class StdinMode {
  kPipe,  ///< a pipe that clients write to with Stream::write
  kNull,  ///< /dev/null
};

/// What happens when a ring is full.
enum class Overflow {
  kDrop,   ///< the oldest output goes, counted in `lost`
  kBlock,  ///< nothing is read any more, so that the child waits and nothing is lost
};

/// Where output is kept.
enum class Rings {
  kFile,    ///< mapped files in the task's directory: outlive the supervisor
  kMemory,  ///< the supervisor's own memory: gone with it
};

/// How the task relates to the process that spawns it.
enum class Behavior {
  kDaemon,      ///< a session of its own; outlives the caller
  kBackground,  ///< deleted when the caller's session leader is gone
  kForeground,  ///< no detaching: the supervisor stays a child of the caller (for service managers), who
                ///< reaps it
};

/// What becomes of the child when its supervisor dies.
enum class OnSupervisorDeath {
  kKeep,  ///< it goes on, and TaskPool::adopt puts a new supervisor in charge
  kKill,  ///< no process of the task is left
};

/// A resource limit; `kUnlimited` is RLIM_INFINITY.
struct ResourceLimit {
  static constexpr std::uint64_t kUnlimited = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t soft = kUnlimited;
  std::uint64_t hard = kUnlimited;
  ResourceLimit() = default;
  ResourceLimit(std::uint64_t both) : soft(both), hard(both) {}  // NOLINT: a number is a limit
  ResourceLimit(std::uint64_t soft_limit, std::uint64_t hard_limit) : soft(soft_limit), hard(hard_limit) {}
};

/// What to run and how. Either `exec` or `cmd` is needed, everything else has a default. The members are
/// declared in the order in which designated initialisers must name them.
///
/// \code
/// pool.spawn({.exec = {"/opt/scripts/foo.pl", "-n"}, .env = {{"DEBUG", "1"}}, .meta = {{"name", "foo"}}});
/// pool.spawn({.cmd = "make -j2 2>&1 | tail -n 50", .cwd = "/srv/build", .stdin = bgtask::StdinMode::kNull});
/// \endcode
struct SpawnOptions {
  // The command.
  std::vector<std::string> exec = {};  ///< program and arguments, passed on byte for byte; a name without '/'
                                       ///< is looked for in the child's PATH
  std::string cmd = {};                ///< or a text for `/bin/sh -c`

  // Its surroundings.
  std::map<std::string, std::string> env = {};  ///< added to the caller's environment
  bool clear_env = false;                       ///< begin with an empty environment instead
  std::string cwd = {};                         ///< empty: the caller's
  std::optional<mode_t> umask = {};             ///< none: the caller's
  std::map<std::string, ResourceLimit> limits =
      {};  ///< by setrlimit's names: "nofile", "core", "as", "cpu", …
  /// USER or USER:GROUP, by name or number; a number needs no entry in the user database. Needs root. HOME,
  /// USER, LOGNAME and SHELL follow unless `env` has them. Empty: the caller's
  std::string user = {};
  int nice = 0;  ///< added to the caller's niceness

  // What is kept with it.
  StdinMode stdin = StdinMode::kPipe;
  Json meta = Json::object();       ///< metadata; at most 256 KiB encoded
  std::uint64_t buffer = 1 << 20;   ///< capacity of each output ring, bytes
  std::uint64_t retain_output = 0;  ///< bytes that stay readable after they were consumed; the rings are
                                    ///< made at least this large
  Overflow overflow = Overflow::kDrop;
  Rings rings = Rings::kFile;

  // Its life.
  Behavior behavior = Behavior::kDaemon;
  std::string lock_file = {};  ///< locked while the child runs; spawn throws `locked` if it cannot be had
  OnSupervisorDeath on_supervisor_death = OnSupervisorDeath::kKeep;

  // What all its processes together may use; needs a delegated control group (docs/security.md).
  std::uint64_t memory = 0;  ///< bytes; 0: no limit
  double cpus = 0;           ///< processors, e.g. 0.5; 0: no limit

  // Who may watch it.
  std::string share_with =
      {};  ///< a group, by name or number: its members may look at the task and read its
           ///< output (not steer it), where the pool lets them in; the caller must be in it, or root

  // How it is ended.
  /// Seconds that a run may take, paused or not. The supervisor then stops the task, as Task::stop does, with
  /// `status.reason` "timeout". Each run after a restart has them anew. None: no limit
  std::optional<Seconds> timeout = {};
  Signal stop_signal =
      std::string("TERM");  ///< asks all processes of the task to end: of stop, of remove, and of the timeout
  std::optional<Seconds> stop_grace = {};  ///< between that signal and KILL; none: 10 s, for remove 3 s
};

/// What TaskPool::exec_supervisor makes of this process.
struct InPlaceOptions {
  /// The task's stdout and stderr to this process's, from where it is taken if `overflow` is kBlock. The pid
  /// is then said on stderr.
  bool forward_output = false;
  /// Delete the task when its command has ended, and exit with its status (128 + n for signal n, 124 for
  /// `timeout`), also where the task is deleted before. Otherwise the process lasts until somebody deletes
  /// the task, and exits with 0.
  bool end_with_command = false;
};

/// How to make the pool's directory if it does not exist. The mode is exact, whatever the umask.
struct MkdirIfMissing {
  mode_t mode = 0700;
  std::optional<uid_t> uid = {};  ///< none: the caller's
  std::optional<gid_t> gid = {};
};

struct PoolOptions {
  std::optional<MkdirIfMissing> mkdir_if_missing = {};
  /// The supervisor program and arguments before ours. Empty: $BGTASK_SUPERVISOR, else beside the running
  /// program, else where it was installed.
  std::vector<std::string> supervisor_command = {};
  /// The environment of supervisors, which get none of this process's variables but BGTASK_CGROUP. The
  /// command's is SpawnOptions::env.
  std::map<std::string, std::string> supervisor_env = {};
};

/// What TaskPool::start_once does where the pool has tasks of the same name, running or ended.
enum class IfExists {
  kAttach,   ///< gives the newest of them as it is
  kFail,     ///< throws `exists`
  kReplace,  ///< deletes them all and starts a new one
  kRestart,  ///< gives the newest of them, after running its command again if that has ended
};

struct StartedOnce {
  Task task;
  bool started = false;    ///< it is a new one
  bool restarted = false;  ///< it existed, and its command was run again
};

/// A pool entry that a search passed over, and why.
struct SkippedEntry {
  std::string name;
  Error reason;
};

/// A directory of tasks. Opening one is cheap; it keeps a descriptor of the directory, so that a pool renamed
/// or replaced later does not redirect it. Copies share it; may be used from several threads at once.
///
/// \code
/// auto pool = bgtask::TaskPool::default_pool();
/// for (auto& task : pool.search({{"status", {{"running", true}}}, {"meta", {{"team", "web"}}}}))
/// task.pause(); \endcode
class TaskPool {
 public:
  /// Opens a pool. A missing pool is empty for search(), task() and gc(), and is looked for again at each
  /// use; spawn() and adopt() throw not_found. \throws Error unsafe_pool (a symlink, not a directory, not the
  /// caller's or root's, or writable by group or others), denied
  explicit TaskPool(std::filesystem::path path, PoolOptions options = {});
  /// The pool named by $BGTASK_POOL, else for root /var/run/bgtask, for others $XDG_RUNTIME_DIR/bgtask, else
  /// /run/user/UID/bgtask where /run/user/UID is the caller's, else /var/run/bgtask/UID. What $BGTASK_POOL
  /// names and /var/run/bgtask/UID are not made; spawn()'s not_found says how to get one. \throws as the
  /// constructor
  static TaskPool default_pool(PoolOptions options = {});

  /// Starts a command. Returns when its exec has succeeded. Does not copy the caller's memory and does not
  /// depend on its threads, signal dispositions or descriptors. All or nothing: after an exception nothing is
  /// left behind. \throws Error exec_failed (os_error() says why: ENOENT, EACCES, E2BIG…), bad_argument
  /// (naming the option), locked, no_space, too_many_files, process_limit, …
  Task spawn(const SpawnOptions& options) const;

  /// Becomes the supervisor of a new task: this process execs it, in place, for service managers. It prints
  /// the pid on stdout; HUP, INT and TERM delete the task. A command that cannot be started is told on
  /// stderr, and the process exits with 126 or 127, or 125 for other failures. `options.behavior` is
  /// kForeground, whatever it says. \throws Error as spawn, for what is found out before the exec
  [[noreturn]] void exec_supervisor(const SpawnOptions& options, const InPlaceOptions& in_place = {}) const;

  /// Starts a task unless there is one of the same name (`options.meta["name"]`, which it must have), in
  /// which case `policy` says what happens. Callers that do this in the same pool at the same time wait for
  /// each other, so that only one of them starts a task. \throws Error as spawn(); exists (kFail),
  /// bad_argument (without a name), and what Task::remove (kReplace) and Task::restart (kRestart) throw
  ///
  /// \code
  /// auto [task, started, restarted] =
  ///     pool.start_once({.exec = {"./db"}, .meta = {{"name", "db"}}}, bgtask::IfExists::kAttach);
  /// \endcode
  StartedOnce start_once(const SpawnOptions& options, IfExists policy) const;

  /// The task with this supervisor pid, child pid or former pid; nothing if there is none.
  std::optional<Task> task(pid_t pid) const;

  /// The tasks whose info document matches `pattern`, oldest first: every key of it exists and matches, to
  /// any depth; arrays match element by element and in length; scalars are equal or equal as text, true and
  /// false being 1 and 0. Wakes no supervisor. The tasks have their info document at hand: info() asks
  /// no supervisor (stream positions are those of its first call; not_found if the task was deleted before
  /// that). `skipped`, if given, receives the entries that could not be read. With many tasks a few threads
  /// help, where there are more processors than one; they block all signals, and none is left on return.
  std::vector<Task> search(const Json& pattern, std::vector<SkippedEntry>* skipped = nullptr) const;
  std::vector<Task> search(std::initializer_list<Json::initializer_list_t::value_type> pattern) const;
  /// The tasks for which `predicate` returns true; one that throws does not match. All on the calling thread.
  std::vector<Task> search(const std::function<bool(const Json& info)>& predicate,
                           std::vector<SkippedEntry>* skipped = nullptr) const;

  /// Absolute path of the pool.
  const std::filesystem::path& path() const noexcept;
  /// Path of a task's control socket; it may be longer than a sockaddr_un holds.
  std::filesystem::path socket_path(pid_t pid) const;

  /// Puts a new supervisor in charge of a task whose supervisor died, and returns the task under its new pid.
  /// \throws Error running (its supervisor is alive), not_found
  Task adopt(pid_t pid) const;
  /// Removes the tasks whose supervisor is dead and of which no process is left, and remains of unfinished
  /// spawns and deletes; nothing else. Returns the ids (pids) removed.
  std::vector<pid_t> gc() const;

 private:
  struct Impl;
  std::shared_ptr<const Impl> impl_;
};

/// Does an info document match a pattern, as search has it?
bool matches(const Json& pattern, const Json& document);

/// TaskPool::default_pool().spawn(options)
Task spawn(const SpawnOptions& options);
/// TaskPool::default_pool().search(pattern)
std::vector<Task> search(const Json& pattern);
std::vector<Task> search(std::initializer_list<Json::initializer_list_t::value_type> pattern);
std::vector<Task> search(const std::function<bool(const Json& info)>& predicate);

}  // namespace bgtask
