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
  return {{"seq", seq},
          {"time", time != 0 ? Json(time) : Json(nullptr)},
          {"stream", stream},
          {"offset", offset},
          {"data", bytes_as_json(data)}};
}

}  // namespace

Json chunk_as_json(const OutputChunk& chunk) {
  return as_json(chunk.seq, chunk.time, chunk.stream, chunk.offset, chunk.data);
}

void LogStyle::fit_terminals() {
  if (stdout_is_terminal()) out = {.harmless = true, .collapse = true};
  if (stderr_is_terminal()) err = {.harmless = true, .collapse = true};
}

bool LogStyle::limits_time() const {
  return filter.since > 0 || filter.until < std::numeric_limits<double>::infinity();
}

bool LogStyle::needs_lines() const {
  return timestamps || tail || head || filter.expression || limits_time() || collapse_lines ||
         !prefix.empty();
}

bool LogStyle::needs_pieces() const {
  return chunks_as_json || timestamps || head || limits_time();
}

LogPrinter::LogPrinter(const LogStyle& style)
    : style_(style),
      lines_(style.needs_lines()),
      out_{write_stdout, style.out},
      err_{write_stderr, style.err} {}

bool LogPrinter::take(const OutputChunk& chunk) {
  if (style_.chunks_as_json) {
    take_item({chunk.seq, chunk.time, chunk.stream, chunk.offset, chunk.data});
  } else if (lines_) {
    for (auto& line : splitter_.feed(chunk))
      take_item(std::move(line));
  } else {
    pass_through(chunk);
  }
  flush(out_);
  flush(err_);
  return !done_;
}

// With nothing but a tail asked for, the rest need not wait for whole lines: a prompt is seen at once.
bool LogPrinter::may_pass_after_tail() const {
  LogStyle rest = style_;
  rest.tail.reset();
  return !rest.needs_lines();
}

bool LogPrinter::end_of_past() {
  if (lines_ && style_.tail && may_pass_after_tail()) {
    for (auto& item : splitter_.finish())
      take_item(std::move(item));
    lines_ = false;
  }
  settle_undated(true);
  past_ = false;
  // An unfinished line is the last one, and is printed once it is complete.
  const std::size_t to_come = style_.filter.expression ? 0 : splitter_.unfinished();
  while (style_.tail && !tail_.empty() && tail_.size() + to_come > *style_.tail)
    tail_.pop_front();
  for (const auto& item : std::exchange(tail_, {}))
    print(item);
  flush(out_);
  flush(err_);
  return !done_;
}

void LogPrinter::finish() {
  for (auto& item : splitter_.finish())
    take_item(std::move(item));
  if (past_) end_of_past();
  for (Sink* sink : {&out_, &err_}) {
    const bool by_lines = style_.timestamps || !style_.prefix.empty();
    if (by_lines && !sink->at_line_start) sink->text += '\n';
    for (auto& [stream, filter] : sink->filters)
      sink->text += filter.finish();
    flush(*sink);
  }
}

void LogPrinter::take_item(LogItem item) {
  if (item.time == 0 && past_ && style_.filter.since > 0) {
    undated_.push_back(std::move(item));
    return;
  }
  settle_undated(item.time >= style_.filter.since);
  admit(std::move(item));
}

// What has no time was written before what follows it.
void LogPrinter::settle_undated(bool show) {
  for (auto& item : std::exchange(undated_, {})) {
    if (show) admit(std::move(item));
  }
}

void LogPrinter::admit(LogItem item) {
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
    Json chunk = as_json(item.seq, item.time, item.stream, item.offset, item.text);
    if (style_.pid) chunk["pid"] = *style_.pid;
    out_.text += json_line(chunk) + "\n";
  } else {
    print_line(sink_for(item.stream), item);
  }
  if (style_.head && printed_ >= *style_.head) done_ = true;
}

void LogPrinter::print_line(Sink& sink, const LogItem& item) {
  if (item.begins) {
    if (!sink.at_line_start) sink.text += '\n';
    sink.text += style_.prefix;
    if (style_.timestamps) sink.text += item.time != 0 ? local_time(item.time) + " " : "- ";
  }
  const bool collapse = sink.target.collapse || style_.collapse_lines;
  sink.text += harmless(sink, item.stream, collapse ? last_state(item.text) : item.text);
  sink.at_line_start = item.text.ends_with('\n');
}

void LogPrinter::pass_through(const OutputChunk& chunk) {
  const bool message = chunk.stream == "data";
  if (chunk.data.empty() && !message) return;
  Sink& sink = sink_for(chunk.stream);
  if (!sink.target.harmless && !message) {
    flush(sink);
    return sink.write(chunk.data);  // as it is, and so without a copy
  }
  const auto made_harmless = [&](std::string_view text) { return harmless(sink, chunk.stream, text); };
  sink.text += sink.target.collapse && !message ? sink.progress[chunk.stream].feed(chunk.data, made_harmless)
                                                : made_harmless(chunk.data);
  if (message && !chunk.data.ends_with('\n')) sink.text += '\n';
}

// What the other has goes first: both may be the same terminal.
LogPrinter::Sink& LogPrinter::sink_for(const std::string& stream) {
  const bool to_stderr = style_.split && stream == "stderr";
  flush(to_stderr ? out_ : err_);
  return to_stderr ? err_ : out_;
}

std::string LogPrinter::harmless(Sink& sink, const std::string& stream, std::string_view text) {
  return sink.target.harmless ? sink.filters[stream].feed(text) : std::string(text);
}

void LogPrinter::flush(Sink& sink) {
  if (!sink.text.empty()) sink.write(std::exchange(sink.text, {}));
}

}  // namespace bgtask::cli
