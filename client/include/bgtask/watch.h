/// \file
/// Any number of tasks behind one descriptor.
#pragma once

#include <bgtask/error.h>
#include <bgtask/json.h>
#include <bgtask/task.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>

namespace bgtask {

/// Names one entry of a Watch. A Watch never gives the same one twice.
enum class WatchId : std::uint64_t {};

/// As a cursor of WatchOptions::output: only output that is written from now on.
inline constexpr std::uint64_t kFromNow = std::numeric_limits<std::uint64_t>::max();

/// Which events of a task are wanted. Those that end the watching (removed, lost, failed) and `unresponsive`
/// always come.
struct WatchOptions {
  bool exit = true;      ///< the end of its command, and of each later run after a restart
  bool meta = false;     ///< changes of its metadata
  bool streams = false;  ///< the end of an output stream, or its failure
  /// Its output: from which cursor, of which streams, in joined pieces or as they were taken in. `max_bytes`
  /// bounds an event read from the files of a task whose supervisor is dead; others hold at most about 700
  /// KiB.
  std::optional<OutputOptions> output = {};
};

/// What happened to a task. Which members are set follows from `kind`; the others are as below.
/// Newer versions may add kinds: give a `switch` a `default`.
struct WatchEvent {
  enum class Kind {
    kExit,  ///< the command has ended: `status`, `runs`. Comes after the output taken in before the end, and
            ///< at once where the task had ended before it was added
    kOutput,  ///< there is output: `output`. `output.next` is the cursor to go on from, in another Watch for
              ///< example
    kMeta,    ///< the metadata changed: all of it in `meta`
    kStream,  ///< `stream` is at its end, or failed with `stream_error`. Comes at once where it was at its
              ///< end before the task was added (not from a supervisor of version 0.1)

    /// The supervisor has not answered within Task::timeout(): it is stopped, or the machine is very busy.
    /// Comes once for each connection; the task stays watched. `error` is unresponsive.
    kUnresponsive,

    // These three are the last event of an entry, which is then gone from the Watch.
    kRemoved,  ///< the task is deleted, or there was none when it was added: `error` is not_found
    kLost,  ///< its supervisor is dead: `error` is lost, `status` what was published last, with state "lost".
            ///< What the rings still hold from the cursor on comes before, as output. See `adopted_by`
    kFailed,  ///< it cannot be watched: `error` is denied, impostor, unsafe_pool, too_many_files, …
  };

  Kind kind = Kind::kFailed;
  WatchId id{};   ///< what Watch::add returned
  Output output;  ///< kOutput
  Json status;    ///< kExit, kLost: the "status" part of the info document; null where it cannot be had
  std::uint64_t runs = 0;  ///< kExit: which run has ended, counted from 1; 0 from a supervisor of version 0.1
  Json meta;               ///< kMeta
  std::string stream;      ///< kStream: "stdout", "stderr" or "data"
  std::string stream_error;  ///< kStream: the name of an errno; empty at the end
  /// kLost: the task's new id where another supervisor is in charge already. Adding the Task again watches it
  /// there.
  std::optional<pid_t> adopted_by;
  Error error;  ///< the last four kinds

  /// Whether this is the last event of its entry.
  bool final() const { return kind == Kind::kRemoved || kind == Kind::kLost || kind == Kind::kFailed; }
};

/// Watches any number of tasks through one descriptor, without threads and without polling: a process sleeps
/// until something happens to one of them. Tasks may be added and removed at any time, also from inside a
/// callback.
///
/// Standalone:
/// \code
/// bgtask::Watch watch;
/// for (bgtask::Task& task : pool.search({{"meta", {{"job", "build"}}}})) {
///   watch.add(task, {.exit = true, .output = bgtask::OutputOptions{.joined = true}},
///             [](bgtask::Task& of, const bgtask::WatchEvent& event) {
///               using Kind = bgtask::WatchEvent::Kind;
///               switch (event.kind) {
///                 case Kind::kOutput:
///                   for (const auto& chunk : event.output.chunks) std::cout << of.pid() << ' ' <<
///                   chunk.data; break;
///                 case Kind::kExit: std::cout << of.pid() << " ended: " << event.status << '\n'; break;
///                 case Kind::kLost: case Kind::kFailed: std::cerr << event.error.what() << '\n'; break;
///                 default: break;
///               }
///             });
/// }
/// watch.run();  // until all are removed or lost, or somebody calls stop()
/// \endcode
///
/// In a loop of one's own, descriptor() is polled for reading and dispatch() is called when it is readable:
/// \code
/// pollfd entries[] = {{watch.descriptor(), POLLIN, 0}, {my_socket, POLLIN, 0}};
/// while (poll(entries, 2, -1) > 0) {
///   if (entries[0].revents) watch.dispatch();
///   if (entries[1].revents) serve(my_socket);
/// }
///
/// uv_poll_init(loop, &poll, watch.descriptor());       // libuv
/// poll.data = &watch;
/// uv_poll_start(&poll, UV_READABLE, [](uv_poll_t* p, int, int) {
/// static_cast<bgtask::Watch*>(p->data)->dispatch(); }); \endcode
///
/// **Descriptors.** A Watch needs one for each task, and three for itself. The library does not change the
/// limits of the process: where add() throws too_many_files, raise the soft limit up to the hard one with
/// `setrlimit(RLIMIT_NOFILE)` or `ulimit -n` before. A supervisor takes 64 connections of a user, so that up
/// to 64 entries, in all processes together, can watch the same task; further ones are tried again until
/// there is room.
///
/// **Memory.** A quiet entry takes about two KiB; one that receives output up to 1 MiB for the event that is
/// arriving. There is no queue: a task's output waits in its rings until a callback has returned. If
/// callbacks take so long that a ring is overwritten, `output.lost` tells how much is gone. If one takes a
/// minute, supervisors close the connection; the Watch connects again and goes on from the cursor; an exit
/// from the time between is told then, and metadata that may have changed.
///
/// **Threads.** A Watch is used by one thread at a time, and so are the Tasks in it; only stop() may be
/// called from anywhere. After fork(2) the child must not use it.
class Watch {
 public:
  /// Called with the task that was added and what happened to it. It may call any function of the Watch but
  /// dispatch(), wait() and run(), and may destroy the Watch. An exception leaves dispatch() (or wait(),
  /// run()); that event counts as delivered, and all others stay to be delivered by the next call.
  using Callback = std::function<void(Task& task, const WatchEvent& event)>;

  /// \throws Error too_many_files, no_memory
  Watch();
  ~Watch();
  Watch(Watch&&) noexcept;
  Watch& operator=(Watch&&) noexcept;

  /// Begins to watch a task. Everything that concerns the task itself is told by an event of the next
  /// dispatch(), also what is the case already: that it has ended, is lost, or is not there. Never waits for
  /// a supervisor. The same task may be added several times; each entry is independent. \throws Error
  /// bad_argument (unknown stream), and too_many_files, no_memory, no_space where this process or the system
  /// is short of something; nothing is added then
  WatchId add(const Task& task, const WatchOptions& options, Callback callback);
  WatchId add(const Task& task, Callback callback) { return add(task, WatchOptions(), std::move(callback)); }

  /// Ends the watching of an entry, which gets no event any more; false if there is none (any more). The task
  /// itself is not touched.
  bool remove(WatchId id);
  /// How many entries there are.
  std::size_t size() const noexcept;
  bool empty() const noexcept { return size() == 0; }

  /// The descriptor for a loop of one's own: readable while dispatch() has something to do. It stays the
  /// same, and belongs to the Watch. Nothing but poll it (for reading; edge-triggered would miss events).
  int descriptor() const noexcept;
  /// Delivers what has happened, without waiting; returns the number of events. Handles a bounded share, so
  /// that a flood of one task keeps neither the others nor the caller waiting: descriptor() stays readable
  /// while there is more.
  std::size_t dispatch();

  /// Waits until at least one event has been delivered, stop() is called or the time is up; returns the
  /// number of events.
  std::size_t wait(std::optional<Seconds> timeout = std::nullopt);
  /// Delivers events until stop() is called or no entry is left.
  void run();
  /// Makes wait() or run() return, or the next one where none is going on. May be called from any thread and
  /// from signal handlers.
  void stop() noexcept;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace bgtask
