#include "cli/log_printer.h"

#include <limits>
#include <utility>

#include "cli/console.h"
#include "cli/output_format.h"
#include "cli/sizes_and_times.h"

namespace bgtask::cli {
namespace {

Json as_json(std::uint64_t seq, double time, const std::string& stream, std::uint64_t offset,
             const std::string& data) {
  return {
      {"seq", seq}, {"time", time}, {"stream", stream}, {"offset", offset}, {"data", bytes_as_json(data)}};
}

}  // namespace

Json chunk_as_json(const OutputChunk& chunk) {
  return as_json(chunk.seq, chunk.time, chunk.stream, chunk.offset, chunk.data);
}

bool LogStyle::needs_lines() const {
  return timestamps || tail || head || filter.expression || filter.since > 0 ||
         filter.until < std::numeric_limits<double>::infinity();
}

bool LogStyle::needs_pieces() const {
  return chunks_as_json || timestamps || head || filter.since > 0 ||
         filter.until < std::numeric_limits<double>::infinity();
}

LogPrinter::LogPrinter(const LogStyle& style) : style_(style), lines_(style.needs_lines()) {}

bool LogPrinter::take(const OutputChunk& chunk) {
  if (style_.chunks_as_json) {
    take_item({chunk.seq, chunk.time, chunk.stream, chunk.offset, chunk.data});
  } else if (lines_) {
    for (auto& line : splitter_.feed(chunk))
      take_item(std::move(line));
  } else {
    pass_through(chunk);
  }
  flush();
  return !done_;
}

bool LogPrinter::end_of_past() {
  // With nothing but a tail asked for, the rest need not wait for whole lines: a prompt is seen at once.
  const bool only_tail = lines_ && style_.tail && !style_.timestamps && !style_.filter.expression &&
                         !style_.head && style_.filter.until == std::numeric_limits<double>::infinity();
  if (only_tail) {
    for (auto& item : splitter_.finish())
      take_item(std::move(item));
    lines_ = false;
  }
  past_ = false;
  for (const auto& item : std::exchange(tail_, {}))
    print(item);
  flush();
  return !done_;
}

void LogPrinter::finish() {
  for (auto& item : splitter_.finish())
    take_item(std::move(item));
  if (past_) end_of_past();
  if (style_.timestamps && !at_line_start_) out_ += '\n';
  for (auto& [stream, filter] : filters_)
    out_ += filter.finish();
  flush();
}

void LogPrinter::take_item(LogItem item) {
  if (item.time > style_.filter.until) done_ = true;
  if (!style_.filter.admits(item)) return;
  if (!past_ || !style_.tail) {
    print(item);
    return;
  }
  tail_.push_back(std::move(item));
  if (tail_.size() > *style_.tail) tail_.pop_front();
}

void LogPrinter::print(const LogItem& item) {
  if (style_.head && printed_ >= *style_.head) return;
  ++printed_;
  if (style_.chunks_as_json) {
    out_ += json_line(as_json(item.seq, item.time, item.stream, item.offset, item.text)) + "\n";
  } else {
    if (item.begins && !at_line_start_) out_ += '\n';
    if (style_.timestamps && item.begins) out_ += local_time(item.time) + " ";
    out_ += shown(item.stream, item.text);
    at_line_start_ = item.text.ends_with('\n');
  }
  if (style_.head && printed_ >= *style_.head) done_ = true;
}

void LogPrinter::pass_through(const OutputChunk& chunk) {
  if (chunk.data.empty() && chunk.stream != "data") return;
  if (!style_.harmless && chunk.stream != "data") {
    flush();
    return write_stdout(chunk.data);  // as it is, and so without a copy
  }
  out_ += shown(chunk.stream, chunk.data);
  if (chunk.stream == "data" && !chunk.data.ends_with('\n')) out_ += '\n';
}

std::string LogPrinter::shown(const std::string& stream, const std::string& text) {
  return style_.harmless ? filters_[stream].feed(text) : text;
}

void LogPrinter::flush() {
  if (!out_.empty()) write_stdout(std::exchange(out_, {}));
}

}  // namespace bgtask::cli
