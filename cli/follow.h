// Being there while tasks run: their output as it comes, their ends, and what happens to ourselves meanwhile.
#pragma once

#include <bgtask/task.h>
#include <bgtask/watch.h>

#include <chrono>
#include <cstddef>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>

#include "cli/stdin_forwarder.h"

namespace bgtask::cli {

/// How a task that was followed came to its end.
struct TaskEnd {
  enum class Kind {
    kExited,   ///< its command has ended: `status`
    kStopped,  ///< its output was not wanted any more
    kLost,     ///< its supervisor died: `error`, and the status last published
    kGone,     ///< it was deleted before its end could be told, or cannot be watched: `error`
  };
  Kind kind = Kind::kGone;
  Json status = nullptr;  ///< the "status" part of the info document
  Error error = {};
};

/// Follows tasks until all have ended. Sleeps in one poll; no thread, no polling.
///
/// \code
/// Follower follower;
/// follower.add(task, OutputOptions{.cursor = 17}, print, [](Task&, const TaskEnd& end) { … });
/// if (follower.run(timeout) == Follower::Outcome::kTimeout) …
/// \endcode
class Follower {
 public:
  /// Takes a piece of output; false: no more is wanted.
  using Deliver = std::function<bool(const Output&)>;
  using Ended = std::function<void(Task&, const TaskEnd&)>;
  enum class Outcome {
    kAllEnded,
    kTimeout,
    kReaderGone,  ///< nobody reads our stdout any more (see needs_reader())
  };

  /// Ends with the task's command, also where a descendant still holds a pipe. Output that was taken in until
  /// then has been delivered before `ended` is called; `output`: none is wanted. \throws Error
  /// too_many_files, no_memory
  void add(const Task& task, const std::optional<OutputOptions>& output, Deliver deliver, Ended ended);
  /// There is no point in going on without a reader of our stdout, also while nothing is to be written.
  void needs_reader() { needs_reader_ = true; }
  /// Takes note of our stdin: passes it on.
  void forward_stdin(const Task& task);
  /// Takes note of our stdin: says once that it is not passed on, should anything come.
  void notice_stdin();
  bool empty() const { return watch_.empty(); }
  /// \throws what the callbacks throw
  Outcome run(std::optional<Seconds> timeout);

 private:
  using Clock = std::chrono::steady_clock;
  struct Entry {
    Deliver deliver;
    Ended ended;
    WatchId id{};
  };
  using EntryPlace = std::list<Entry>::iterator;

  void handle(Task& task, EntryPlace entry, const WatchEvent& event);
  void end(Task& task, EntryPlace entry, TaskEnd end);
  bool wait_once(std::optional<Clock::time_point> deadline);

  Watch watch_;
  std::list<Entry> entries_;
  std::optional<StdinForwarder> stdin_;
  bool notice_stdin_ = false;
  bool needs_reader_ = false;
  bool reader_gone_ = false;
};

/// As many descriptors as this process may have: one is needed for each task that is followed.
void raise_descriptor_limit();

/// On stderr, for each stream: "123 bytes of stdout are gone", or "… have been read already" where a
/// consuming read took them.
void say_missing(const OutputLoss& lost, const OutputLoss& taken);
/// The same for one stream.
void say_missing(const std::string& stream, std::uint64_t lost, std::uint64_t taken);
/// "more of stdout may be missing: …" for the streams that are marked.
void say_gap(const OutputGap& gap);

}  // namespace bgtask::cli
