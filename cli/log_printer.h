// From chunks of output to what `logs` and `run -f` write.
#pragma once

#include <bgtask/task.h>

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>

#include "cli/escaping.h"
#include "cli/log_items.h"
#include "cli/progress_lines.h"

namespace bgtask::cli {

struct LogStyle {
  /// How output is written to one of our descriptors.
  struct Target {
    bool harmless = false;  ///< make control characters visible (for a terminal)
    bool collapse = false;  ///< of progress shown by carriage returns only the last state
  };

  bool chunks_as_json = false;  ///< items are chunks, one JSON object a line
  bool timestamps = false;
  bool split = false;             ///< the task's stderr to our stderr; else everything to stdout
  bool collapse_lines = false;    ///< collapse progress also where lines have to be put together for it
  std::string prefix = {};        ///< before each line, ahead of its time
  std::optional<pid_t> pid = {};  ///< with chunks_as_json: whose they are
  Target out = {}, err = {};      ///< err: with `split`
  LogFilter filter = {};
  std::optional<std::uint64_t> tail = {};
  std::optional<std::uint64_t> head = {};

  /// Makes the targets fit for terminals where stdout and stderr are some.
  void fit_terminals();
  /// Whether lines have to be put together; otherwise output passes through as it comes.
  bool needs_lines() const;
  /// Whether it matters which bytes came together, and when; otherwise they may be joined.
  bool needs_pieces() const;

 private:
  bool limits_time() const;
};

/// First takes what there is (keeping only the last `tail` items), then, after end_of_past(), what comes.
class LogPrinter {
 public:
  /// `style` must outlive it.
  explicit LogPrinter(const LogStyle& style);

  /// False when nothing more is wanted: `head` is reached, or the time is past `until`.
  /// \throws ConsoleError
  bool take(const OutputChunk& chunk);
  /// Prints what `tail` has kept. From now on items are printed at once. Same result as take().
  bool end_of_past();
  /// Prints unfinished lines.
  void finish();
  /// Whether everything taken has been printed or left out for good.
  bool settled() const { return splitter_.unfinished() == 0 && tail_.empty(); }

 private:
  // One of our descriptors with what is to be written to it.
  struct Sink {
    void (*write)(std::string_view);
    LogStyle::Target target;
    std::string text = {};
    bool at_line_start = true;
    std::map<std::string, TerminalFilter> filters = {};  // by stream
    std::map<std::string, LiveProgress> progress = {};   // likewise
  };

  bool may_pass_after_tail() const;
  void take_item(LogItem item);
  void admit(LogItem item);
  void settle_undated(bool show);
  void print(const LogItem& item);
  void print_line(Sink& sink, const LogItem& item);
  void pass_through(const OutputChunk& chunk);
  Sink& sink_for(const std::string& stream);
  static std::string harmless(Sink& sink, const std::string& stream, std::string_view text);
  static void flush(Sink& sink);

  const LogStyle& style_;
  bool lines_;
  bool past_ = true;
  bool done_ = false;
  std::uint64_t printed_ = 0;
  LineSplitter splitter_;
  std::deque<LogItem> tail_;
  std::deque<LogItem> undated_;  // until the time of what follows tells whether they are `since` then
  Sink out_, err_;
};

/// A chunk as `logs -o jsonl` shows it.
Json chunk_as_json(const OutputChunk& chunk);

}  // namespace bgtask::cli
