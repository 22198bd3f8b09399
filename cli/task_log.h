// A task's output on its way to being shown.
#pragma once

#include <bgtask/task.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "cli/cursor_file.h"
#include "cli/log_printer.h"

namespace bgtask::cli {

/// Hands over the output from `options.cursor` on that is there now, page by page: chunks to `take` until it
/// returns false (then so does this), and what is missing to `miss`. A page is taken whole, or what is
/// missing in it would be told again by whoever goes on. Brings cursor and offsets up to date.
/// `options.max_bytes` is not used.
bool read_past(Task& task, OutputOptions& options, const std::function<bool(const OutputChunk&)>& take,
               const std::function<void(const Output&)>& miss);

/// A name for each task, all of one width: its own, with its pid where another has the same, or the pid
/// alone.
std::vector<std::string> log_names(const std::vector<Task>& tasks);

/// One task's output, printed: first what there is, then what comes (from a Follower).
class TaskLog {
 public:
  TaskLog(const Task& task, LogStyle style, std::vector<std::string> streams, const CursorMark& mark);
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
  /// Prints unfinished lines, and says where more may be missing.
  void finish();
  /// The supervisor has died: more may be missing than anybody counted.
  void look_for_gap();

  Task& task() { return task_; }
  CursorMark mark() const { return {options_.cursor, options_.offsets}; }
  /// Whether everything before the cursor has been printed or left out for good.
  bool settled() const { return printer_.settled(); }

 private:
  Task task_;
  const LogStyle style_;
  LogPrinter printer_;
  OutputOptions options_;
  OutputGap gap_;
};

}  // namespace bgtask::cli
