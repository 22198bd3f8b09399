// From chunks of output to what `logs` writes on stdout.
#pragma once

#include <bgtask/task.h>

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>

#include "cli/escaping.h"
#include "cli/log_items.h"

namespace bgtask::cli {

struct LogStyle {
  bool chunks_as_json = false;  ///< items are chunks, one JSON object a line
  bool timestamps = false;
  bool harmless = false;  ///< make control characters visible (for a terminal)
  LogFilter filter = {};
  std::optional<std::uint64_t> tail = {};
  std::optional<std::uint64_t> head = {};

  /// Whether lines have to be put together; otherwise output passes through as it comes.
  bool needs_lines() const;
  /// Whether it matters which bytes came together, and when; otherwise they may be joined.
  bool needs_pieces() const;
};

/// First takes what there is (keeping only the last `tail` items), then, after end_of_past(), what comes.
class LogPrinter {
 public:
  /// `style` must outlive it.
  explicit LogPrinter(const LogStyle& style);

  /// False when nothing more is wanted: `head` is reached, or the time is past `until`.
  /// \throws ConsoleError
  bool take(const OutputChunk& chunk);
  /// Prints what `tail` has kept. From now on items are printed at once.
  bool end_of_past();
  /// Prints unfinished lines.
  void finish();
  /// Whether everything taken has been printed or left out for good.
  bool settled() const { return !splitter_.pending() && tail_.empty(); }

 private:
  void take_item(LogItem item);
  void print(const LogItem& item);
  void pass_through(const OutputChunk& chunk);
  std::string shown(const std::string& stream, const std::string& text);
  void flush();

  const LogStyle& style_;
  bool lines_;
  bool past_ = true;
  bool done_ = false;
  bool at_line_start_ = true;
  std::uint64_t printed_ = 0;
  LineSplitter splitter_;
  std::deque<LogItem> tail_;
  std::map<std::string, TerminalFilter> filters_;
  std::string out_;
};

/// A chunk as `logs -o jsonl` shows it.
Json chunk_as_json(const OutputChunk& chunk);

}  // namespace bgtask::cli
