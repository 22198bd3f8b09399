// What `logs` shows: lines, or the pieces of output as they were taken in.
#pragma once

#include <bgtask/task.h>

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cli/regex.h"

namespace bgtask::cli {

/// A line with its newline, or a whole chunk.
struct LogItem {
  std::uint64_t seq = 0;  ///< of the chunk in which it began
  double time = 0;        ///< likewise; 0: not known
  std::string stream;
  std::uint64_t offset = 0;
  std::string text;
  bool begins = true;  ///< false: the rest of a line of which the beginning was too long to keep waiting for
};

/// Puts lines together from chunks, for each stream by itself. A data message is a line whatever is in it.
class LineSplitter {
 public:
  /// The lines that are complete with this chunk. A line without end is given out in pieces of this size.
  static constexpr std::size_t kLongestLine = 1 << 20;
  std::vector<LogItem> feed(const OutputChunk& chunk);
  /// How many unfinished lines are held back: one a stream at most.
  std::size_t unfinished() const;
  /// The unfinished lines, in the order in which they began.
  std::vector<LogItem> finish();

 private:
  std::map<std::string, LogItem> unfinished_;  // by stream; present means not empty
};

struct LogFilter {
  double since = -std::numeric_limits<double>::infinity();
  double until = std::numeric_limits<double>::infinity();
  std::optional<Regex> expression;

  bool admits(const LogItem& item) const;
};

}  // namespace bgtask::cli
