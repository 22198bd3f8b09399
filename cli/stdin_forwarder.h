// Our stdin to a task's.
#pragma once

#include <bgtask/task.h>

#include <chrono>
#include <optional>
#include <string>

namespace bgtask::cli {

/// Whether stdin is a pipe, a socket or a file: somebody may have meant to give us something. A terminal,
/// /dev/null and a closed one are not.
bool stdin_may_have_data();
/// Whether there is something to be read now.
bool stdin_has_data();

/// Passes stdin on to a task, and its end. For a loop that polls: reads only when told that there is
/// something, and never waits for room in the task's queue.
class StdinForwarder {
 public:
  using Clock = std::chrono::steady_clock;

  explicit StdinForwarder(const Task& task) : stream_(task.stream("stdin")) {}

  /// Whether stdin is to be polled for reading.
  bool wants_input() const { return !done_ && pending_.empty(); }
  /// When to call proceed() in any case; nothing: when there is input.
  std::optional<Clock::time_point> retry_at() const { return retry_at_; }
  /// Goes on with what is pending, or reads if stdin is `readable`. Ends quietly where the task takes no
  /// more. \throws bgtask::Error, ConsoleError
  void proceed(bool readable);

 private:
  void read();
  void write();
  bool write_some();

  Stream stream_;
  std::string pending_;
  bool done_ = false;
  std::optional<Clock::time_point> retry_at_;
  std::chrono::milliseconds pause_{0};
};

}  // namespace bgtask::cli
