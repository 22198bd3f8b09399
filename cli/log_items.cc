#include "cli/log_items.h"

#include <algorithm>
#include <utility>

namespace bgtask::cli {
namespace {

LogItem whole_message(const OutputChunk& chunk) {
  LogItem item{chunk.seq, chunk.time, chunk.stream, chunk.offset, chunk.data};
  if (!item.text.ends_with('\n')) item.text += '\n';
  return item;
}

}  // namespace

std::vector<LogItem> LineSplitter::feed(const OutputChunk& chunk) {
  if (chunk.stream == "data") return {whole_message(chunk)};
  std::vector<LogItem> lines;
  for (std::size_t begin = 0; begin < chunk.data.size();) {
    const auto newline = chunk.data.find('\n', begin);
    const bool complete = newline != std::string::npos;
    const std::size_t end = complete ? newline + 1 : chunk.data.size();
    auto [entry, fresh] = unfinished_.try_emplace(
        chunk.stream, LogItem{chunk.seq, chunk.time, chunk.stream, chunk.offset + begin, {}});
    LogItem& line = entry->second;
    line.text.append(chunk.data, begin, end - begin);
    begin = end;
    if (complete) {
      lines.push_back(std::move(line));
      unfinished_.erase(entry);
    } else if (line.text.size() >= kLongestLine) {
      LogItem rest{chunk.seq, line.time, chunk.stream, chunk.offset + end, {}, false};
      lines.push_back(std::exchange(line, std::move(rest)));
    }
  }
  return lines;
}

std::size_t LineSplitter::unfinished() const {
  return static_cast<std::size_t>(std::count_if(
      unfinished_.begin(), unfinished_.end(), [](const auto& entry) { return !entry.second.text.empty(); }));
}

std::vector<LogItem> LineSplitter::finish() {
  std::vector<LogItem> lines;
  for (auto& [stream, line] : std::exchange(unfinished_, {})) {
    if (!line.text.empty()) lines.push_back(line);
  }
  // What has no time (any more) is older than what has, whatever its seq.
  std::sort(lines.begin(), lines.end(), [](const LogItem& a, const LogItem& b) {
    return std::pair(a.time != 0, a.seq) < std::pair(b.time != 0, b.seq);
  });
  return lines;
}

bool LogFilter::admits(const LogItem& item) const {
  return (item.time == 0 || item.time >= since) && item.time <= until &&
         (!expression || expression->matches(item.text));
}

}  // namespace bgtask::cli
