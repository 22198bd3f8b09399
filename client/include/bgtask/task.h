/// \file
/// A task as seen by a client.
#pragma once

#include <bgtask/error.h>
#include <bgtask/json.h>
#include <bgtask/stream.h>
#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace bgtask {

/// A length of time in seconds; fractions are welcome: `Seconds(0.5)`, or any std::chrono duration.
using Seconds = std::chrono::duration<double>;

/// A signal by name ("TERM", "SIGTERM", "RTMIN+3") or by number (1–64).
using Signal = std::variant<std::string, int>;

/// Whom a signal reaches.
enum class Scope {
  kProcess,  ///< the child alone
  kGroup,    ///< the child's process group
  kTree,     ///< the child and all its descendants, also those that changed session
};

/// One piece of output, in the order in which pieces were taken in.
struct OutputChunk {
  std::uint64_t seq = 0;     ///< seq + 1 is the cursor after it
  double time = 0;           ///< when it was taken in, seconds since the epoch; 0: not known (any more)
  std::string stream;        ///< "stdout", "stderr" or "data" (one message)
  std::uint64_t offset = 0;  ///< of its first byte in that stream (of the message, for data)
  std::string data;
};

/// How much of the output asked for is not to be had.
struct OutputLoss {
  std::uint64_t out = 0;   ///< bytes of stdout
  std::uint64_t err = 0;   ///< bytes of stderr
  std::uint64_t data = 0;  ///< data messages
  bool any() const noexcept { return out != 0 || err != 0 || data != 0; }
  OutputLoss& operator+=(const OutputLoss& more) noexcept {
    out += more.out;
    err += more.err;
    data += more.data;
    return *this;
  }
};

/// Streams of which more may be missing than anybody could count: the task wrote on after its supervisor's
/// death, and ended before another one took over.
struct OutputGap {
  bool out = false;
  bool err = false;
  bool data = false;
  bool any() const noexcept { return out || err || data; }
  bool operator==(const OutputGap&) const = default;
};

/// A position in each stream.
struct OutputOffsets {
  std::uint64_t out = 0;   ///< bytes of stdout
  std::uint64_t err = 0;   ///< bytes of stderr
  std::uint64_t data = 0;  ///< data messages
  bool operator==(const OutputOffsets&) const = default;
};

/// A reply to "what is new since this cursor?". Everything between the two cursors is in `chunks` or counted
/// in `lost` or `taken`. Where a task writes many small pieces the memory of when each came is shorter than
/// that of what it was: such bytes come all the same, one stream after the other, in chunks without a time.
struct Output {
  std::vector<OutputChunk> chunks;
  std::uint64_t next = 0;  ///< the cursor to ask with next time
  OutputLoss lost;         ///< what lay between the cursor asked for and `next` and is gone for good
  bool eof = false;        ///< nothing more will come
  OutputLoss taken = {};   ///< what lay there too, and a consuming read has taken
  /// Where each stream goes on after `next`, where that is known. Whoever keeps a cursor to ask with another
  /// Task later, in another process perhaps, keeps this with it.
  std::optional<OutputOffsets> offsets = {};
  /// Told with the end of what there is; of the streams asked for and those that were not.
  OutputGap gap = {};
  /// Whether there is neither output nor anything missing.
  bool empty() const noexcept { return chunks.empty() && !lost.any() && !taken.any(); }
};

/// Which output, from where.
struct OutputOptions {
  std::uint64_t cursor = 0;               ///< 0: from the beginning of what is kept
  std::vector<std::string> streams = {};  ///< of "stdout", "stderr", "data"; empty means all
  std::uint64_t max_bytes = 1 << 20;      ///< soft: a reply has at least one whole piece
  /// Pieces of a stream that follow each other may come as one chunk, with the seq of the last and the time
  /// of the first: for whoever wants the bytes and not when each came, and much cheaper where pieces are
  /// small.
  bool joined = false;
  /// The offsets that came with `cursor`. A Task knows those of the last cursor it gave; without them, what
  /// lies between a cursor and the oldest piece whose time is known can be neither given nor counted.
  std::optional<OutputOffsets> offsets = {};
};

/// How long to follow.
struct FollowOptions {
  OutputOptions output = {};                          ///< which output, from where
  std::optional<std::uint64_t> max_lines = {};        ///< so many lines in all (a data message is one)
  std::optional<std::uint64_t> max_total_bytes = {};  ///< so many bytes in all; a data message is not cut
  std::optional<Seconds> timeout = {};                ///< none: until the task ends
  /// End also when nobody reads any more what is written to this descriptor, a pipe, socket or terminal: so
  /// `program | head -1` ends while the task is silent. -1: none. It stays the caller's.
  int until_hangup_of = -1;
};

enum class FollowEnd {
  kEnded,    ///< the task has ended, its supervisor died, or it was deleted; all there was has been delivered
  kStopped,  ///< the callback returned false
  kLimit,    ///< as many lines or bytes as were asked for have been delivered
  kTimeout,  ///< the time was up
  kHangup,   ///< the reader of `until_hangup_of` has gone
};

/// How following ended, and from where to go on: exact to the byte if `next` and `offsets` are used together.
struct FollowResult {
  FollowEnd end = FollowEnd::kEnded;
  std::uint64_t next = 0;
  std::optional<OutputOffsets> offsets = {};
};

/// What to wait for.
struct WaitOptions {
  std::vector<std::string> for_events = {"exit"};  ///< any of "exit", "output", "eof"
  std::uint64_t cursor = 0;                        ///< for "output": fires when there is output from here on
  std::optional<Seconds> timeout = {};             ///< none: as long as it takes
  bool with_status = true;  ///< false: without, which costs less; for many waits in a row
};

struct WaitResult {
  std::string fired;       ///< "exit", "output", "eof" or "timeout"
  std::uint64_t next = 0;  ///< the cursor after the newest output (on a timeout: the one given)
  Json status;             ///< the "status" part of the info document; null where it was not asked for
};

/// How to restart.
struct RestartOptions {
  bool force = false;  ///< also where descendants of the last run are alive; they are left alone
};

/// How to stop. What is not given comes from the task's own spawn options.
struct StopOptions {
  std::optional<Seconds> grace = {};  ///< between the signal and KILL; none: its `stop_grace`, else 10 s
  std::optional<Signal> signal = {};  ///< none: its `stop_signal`, else TERM
};

/// What a stop did.
struct StopReceipt {
  std::uint64_t signalled = 0;   ///< processes that were sent the signal
  std::uint64_t exited = 0;      ///< that ended within the grace
  std::uint64_t killed = 0;      ///< that had to be killed
  std::vector<pid_t> survivors;  ///< empty: a stop with survivors throws kill_incomplete
};

/// How to delete.
struct RemoveOptions {
  std::optional<Seconds> grace = {};  ///< between the stop signal and KILL; none: the task's own
                                      ///< `stop_grace`, if it was started with one, else 3 s
  bool collect = false;               ///< hand back the output nobody had consumed
};

/// What a delete did.
struct RemoveReceipt {
  std::uint64_t signalled = 0;      ///< processes that were sent the stop signal
  std::uint64_t exited = 0;         ///< that ended within the grace
  std::uint64_t killed = 0;         ///< that had to be killed
  std::vector<pid_t> survivors;     ///< empty: a delete with survivors throws kill_incomplete
  std::vector<OutputChunk> output;  ///< with `collect`: what was unconsumed, in order
};

/// A task in some pool. Creating one connects to nothing and reads nothing; the first call that needs the
/// supervisor connects, and later ones use that connection again. Move and copy are cheap, copies share the
/// connection. One Task (and its copies and streams) is used by one thread at a time; tasks are independent
/// of each other. The library keeps no thread (TaskPool::search takes some for as long as it lasts), installs
/// no signal handler, and its descriptors are close-on-exec.
///
/// \code
/// bgtask::Task task(pid);
/// task.pause();
/// task.apply_meta({{"note", "paused for the night"}});
/// task.resume();
/// if (task.wait({.timeout = bgtask::Seconds(10)}).fired == "exit") std::cout << task.info(true)["status"];
/// task.remove();
/// \endcode
///
/// Every function that talks to the task throws Error: not_found (no such task), lost (its supervisor is
/// dead), denied (not yours), impostor (something else answers), unresponsive (no answer within timeout()),
/// version_mismatch.
class Task {
 public:
  /// The task whose supervisor has this pid, in the default pool; else the one whose child has it; else the
  /// one that had it before it was adopted. Looked up at first use.
  explicit Task(pid_t pid);
  /// The same in the pool at `pool_path`.
  Task(pid_t pid, std::filesystem::path pool_path);
  /// The task this process runs in, from $BGTASK_PID and $BGTASK_POOL. \throws Error not_found outside of one
  static Task self();

  /// The pid this was made with, or, once the task has been looked up, that of its supervisor: the task's id.
  pid_t pid() const noexcept;
  /// The pool the task is looked for in.
  const std::filesystem::path& pool_path() const;

  /// How long a call may take before it throws unresponsive (default 10 s). Waiting calls add their own time.
  void set_timeout(Seconds timeout);
  Seconds timeout() const noexcept;

  /// Connects unless connected. Returns true. \throws Error saying why not
  bool connect();
  /// The same without an exception: false, and the error in `reason`.
  bool connect(Error& reason);
  /// Drops the connection; the next call makes a new one.
  void disconnect() noexcept;

  /// The info document (docs/protocol.md). The first call fetches it, later ones return the same copy unless
  /// `fresh`. For a task whose supervisor is dead: what it last published, with state "lost".
  const Json& info(bool fresh = false);
  /// The info document from the published files, without waking the supervisor; does not touch the copy of
  /// info().
  Json snapshot() const;
  /// The same as far as the search that found the task has read it, else as it is published now. Where
  /// `members` names some (of the document itself: "meta", "status", …), these only, which costs much less;
  /// stream positions are then those of the last publication.
  /// \throws Error not_found: the whole of a task that has been deleted since is not to be had.
  Json published(const std::vector<std::string>& members = {}) const;
  /// Calls a method of the protocol and returns its result. \throws Error unknown_method, bad_argument, …
  Json call(std::string_view method, Json params = Json::object());

  /// Merges `meta` deeply into the task's metadata (null removes a key) and returns all of it. A lone string
  /// is kept as {"note": …}.
  Json apply_meta(const Json& meta);
  Json apply_meta(std::initializer_list<Json::initializer_list_t::value_type> meta);

  /// Sends a signal; returns to how many processes. \throws Error already_exited, bad_argument
  std::uint64_t kill(const Signal& signal = std::string("KILL"), Scope scope = Scope::kGroup);
  std::uint64_t kill(const char* signal, Scope scope = Scope::kGroup) {
    return kill(Signal(std::string(signal)), scope);
  }
  /// Stops every process of the tree (continues it, where `pause` is false); returns how many.
  std::uint64_t pause(bool pause = true);
  /// The same as pause(false).
  std::uint64_t resume() { return pause(false); }
  /// Runs an ended task's command again, in the same task. Returns false, having done nothing, if it still
  /// runs. \throws Error running (descendants of the last run are alive: stop first, or use `force`), busy
  /// (the task is being stopped), and as TaskPool::spawn
  bool restart(const RestartOptions& options = {});
  /// Ends every process of the task: a signal, and KILL for those that are left after the grace. The task and
  /// its output stay; `status.reason` is "stopped" where the command was still running. A task that has ended
  /// and has no descendants is no error. Another stop meanwhile shares the outcome; it can shorten the grace.
  /// \throws Error kill_incomplete (data() names the survivors), version_mismatch (the supervisor is older
  /// and has no stop: use kill)
  StopReceipt stop(const StopOptions& options = {});
  /// Deletes the task: stops the tree, removes every file, ends the supervisor. When this returns, none of
  /// its processes, files and sockets exist. A task whose supervisor is dead is removed too, if its child is
  /// gone. \throws Error kill_incomplete (data() names the survivors), running (supervisor dead, child alive:
  /// adopt first), unresponsive (also: deleted, but its supervisor has not ended after 15 s)
  RemoveReceipt remove(const RemoveOptions& options = {});
  /// Waits. \throws Error lost if the supervisor dies meanwhile
  WaitResult wait(const WaitOptions& options = {});

  /// What is new since a cursor, over all streams in order. Takes nothing, wakes no supervisor where the
  /// rings are files.
  Output output(const OutputOptions& options = {});
  /// Calls `callback` with the output from `options.cursor` on and then with more as it comes, until the
  /// callback returns false or nothing more can come (task ended and all read, or supervisor dead). Returns
  /// the cursor to go on from.
  std::uint64_t follow(const std::function<bool(const Output&)>& callback, const OutputOptions& options = {});
  /// The same with limits. Between pieces of output it sleeps; it does not poll. Takes nothing.
  FollowResult follow(const FollowOptions& options, const std::function<bool(const Output&)>& callback);

  /// A stream by name ("stdin", "stdout", "stderr", "data"; "out", "err" are understood) or number (0, 1, 2).
  /// \throws Error bad_argument for any other
  Stream stream(std::string_view name) const;
  Stream stream(int number) const;

 private:
  friend class Stream;
  friend struct TaskAccess;
  std::shared_ptr<Stream::Impl> impl_;
};

}  // namespace bgtask
