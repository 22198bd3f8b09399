// A task's output on its way to being shown.
#pragma once

#include <bgtask/task.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "cli/log_printer.h"

namespace bgtask::cli {

/// Hands over the output from `options.cursor` on that is there now, page by page: chunks to `take` until it
/// returns false (then so does this), and what is gone to `loss`. Brings the cursor up to date.
/// `options.max_bytes` is not used.
bool read_past(Task& task, OutputOptions& options, const std::function<bool(const OutputChunk&)>& take,
               const std::function<void(const OutputLoss&)>& loss);

/// A name for each task, all of one width: its own, with its pid where another has the same, or the pid
/// alone.
std::vector<std::string> log_names(const std::vector<Task>& tasks);

/// One task's output, printed: first what there is, then what comes (from a Follower).
class TaskLog {
 public:
  TaskLog(const Task& task, LogStyle style, std::vector<std::string> streams, std::uint64_t cursor);
  TaskLog(const TaskLog&) = delete;
  TaskLog& operator=(const TaskLog&) = delete;

  /// Prints what there is; false when no more is wanted. \throws bgtask::Error, ConsoleError
  bool show_past();
  /// No past is to be told from what comes. Same result.
  bool end_of_past() { return printer_.end_of_past(); }
  /// What to follow from now on.
  const OutputOptions& rest() const { return options_; }
  /// Prints a piece of what came; false when no more is wanted. \throws ConsoleError
  bool take(const Output& output);
  /// Prints unfinished lines.
  void finish() { printer_.finish(); }

  Task& task() { return task_; }
  std::uint64_t cursor() const { return options_.cursor; }
  /// Whether everything before the cursor has been printed or left out for good.
  bool settled() const { return printer_.settled(); }

 private:
  Task task_;
  const LogStyle style_;
  LogPrinter printer_;
  OutputOptions options_;
};

}  // namespace bgtask::cli
