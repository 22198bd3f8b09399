// bgtask logs: a task's output, to look at. Never consumes.

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <map>

#include "cli/console.h"
#include "cli/cursor_file.h"
#include "cli/follow.h"
#include "cli/log_printer.h"
#include "cli/output_format.h"
#include "cli/points_in_time.h"
#include "cli/selector.h"
#include "cli/sizes_and_times.h"
#include "cli/usage_error.h"
#include "cli/verb.h"

namespace bgtask::cli {
namespace {

// A look at the past: little enough to stay in the processor's cache on its way. What goes to a pipe is no
// more than the pipe holds, so that its reader has something while the next is fetched: a third less time.
std::uint64_t page_size() {
  return stdout_is_pipe() ? 64 * 1024 : 256 * 1024;
}

double now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// "A:B", "A:", ":B" as offsets.
struct ByteRange {
  std::uint64_t begin = 0;
  std::optional<std::uint64_t> end;
};

ByteRange parse_range(const std::string& text) {
  const auto colon = text.find(':');
  if (colon == std::string::npos) throw UsageError("'" + text + "' is not A:B");
  ByteRange range;
  if (colon > 0) range.begin = parse_size(text.substr(0, colon));
  if (colon + 1 < text.size()) range.end = parse_size(text.substr(colon + 1));
  if (range.end && *range.end < range.begin) throw UsageError("'" + text + "' ends before it begins");
  return range;
}

std::vector<std::string> streams_named(const std::string& text) {
  if (text == "all") return {"stdout", "stderr", "data"};
  if (text == "out" || text == "stdout" || text == "1") return {"stdout"};
  if (text == "err" || text == "stderr" || text == "2") return {"stderr"};
  if (text == "data") return {"data"};
  throw UsageError("'" + text + "' is not out, err, data or all");
}

// Tells what there was when one began to look from what came later, so that a look at a task that writes
// without end ends.
class Past {
 public:
  Past(const Task& task, const std::vector<std::string>& streams) {
    for (const auto& name : streams)
      limits_[name] = task.stream(name).limit();
  }
  bool contains(const OutputChunk& chunk) const {
    const auto limit = limits_.find(chunk.stream);
    return limit == limits_.end() || chunk.offset < limit->second;
  }

 private:
  std::map<std::string, std::uint64_t> limits_;
};

class LogsVerb : public Verb {
 public:
  explicit LogsVerb(bool follow) : follow_(follow) {}

  void declare(Command& command) override {
    command.usage("[TASK…]");
    command.examples({"bgtask logs web", "bgtask logs -f -n 20 web",
                      "bgtask logs -t --since 10m --stream err web", "bgtask logs -g 'ERROR|WARN' web",
                      "bgtask logs --cursor-file ~/.web.cursor web   # only what is new",
                      "bgtask logs -o jsonl --stream all web | jq .data", "bgtask logs --bytes 12:35 web"});
    declare_what(command);
    declare_how(command);
    declare_selector(command, selector_);
  }

  int execute(Session& session, const std::vector<std::string>& positionals) override {
    selector_.words = positionals;
    check();
    if (range_ || follow_ || after_ || !cursor_file_.empty()) {
      Task task = select_one(session, selector_);
      range_ ? show_range(task) : show(task);
      return 0;
    }
    return for_each_task(session, selector_, "logs", [this](Task& task) { show(task); });
  }

 private:
  void declare_what(Command& command) {
    command.flag("-f,--follow", "go on until the task ends", &follow_);
    command.option("-n,--tail", "N",
                   "the last N lines of what there is (chunks with -o jsonl); all: everything",
                   [this](const std::string& text) {
                     style_.tail = text == "all" ? std::nullopt : std::optional(parse_count(text));
                   });
    command.option("--head", "N", "the first N lines",
                   [this](const std::string& text) { style_.head = parse_count(text); });
    command.option(
        "--since", "TIME",
        "lines begun since then: 14:00, yesterday, '1 hour ago', -10m, RFC 3339, seconds since the epoch",
        [this](const std::string& text) { style_.filter.since = parse_time(text, now()); });
    command.option("--until", "TIME", "lines begun until then",
                   [this](const std::string& text) { style_.filter.until = parse_time(text, now()); });
    command.option("--stream", "out|err|data|all",
                   "which stream (default: out and err); a data message is a line",
                   [this](const std::string& text) { streams_ = streams_named(text); });
    command.option("-g,--grep", "RE", "lines that match a regular expression (RE2's syntax)", &grep_);
    command.flag("-i,--ignore-case", "with -g: capital and small letters are the same", &ignore_case_);
    command.option("--after", "CURSOR",
                   "what came from this cursor on (see --show-cursor; seq + 1 of -o jsonl)",
                   [this](const std::string& text) { after_ = parse_count(text); });
    command.option("--cursor-file", "FILE",
                   "what came since the cursor in FILE, which is then brought up to date", &cursor_file_);
    command.option("--bytes", "A:B", "bytes A to B-1 of one stream, by offset (default stream: out)",
                   [this](const std::string& text) { range_ = parse_range(text); });
  }

  void declare_how(Command& command) {
    command.flag("-t,--timestamps", "the time before each line", &style_.timestamps);
    command.flag("--raw", "control characters as they are, also on a terminal", &raw_);
    command.flag("--show-cursor", "say on stderr from where to go on with --after", &show_cursor_);
    command.choice(
        "-o,--output", {"text", "json", "jsonl"},
        "text (default); jsonl: a chunk a line, {seq, time, stream, offset, data}; json: one document",
        &format_);
  }

  void check() {
    if (ignore_case_ && grep_.empty()) throw UsageError("logs: --ignore-case needs --grep");
    if (!grep_.empty())
      style_.filter.expression.emplace(grep_, ignore_case_ ? Regex::Case::kIgnored : Regex::Case::kMatters);
    style_.chunks_as_json = format_ == "jsonl";
    style_.harmless = format_ == "text" && !raw_ && stdout_is_terminal();
    if (style_.tail && style_.head) throw UsageError("logs: --tail and --head exclude each other");
    if (format_ == "json" && (follow_ || style_.needs_lines())) {
      throw UsageError(
          "logs: -o json gives one whole document; use -o jsonl with -f and with what selects lines");
    }
    if (after_ && !cursor_file_.empty())
      throw UsageError("logs: --after and --cursor-file exclude each other");
    if (!cursor_file_.empty() && (style_.head || std::isfinite(style_.filter.until))) {
      throw UsageError(
          "logs: --cursor-file goes with neither --head nor --until, which leave the rest unread");
    }
    if (!range_) return;
    if (follow_ || after_ || !cursor_file_.empty() || style_.needs_lines() || format_ != "text" ||
        streams_.size() == 3) {
      throw UsageError("logs: --bytes goes only with --stream and --raw");
    }
    if (streams_.size() == 1 && streams_[0] == "data") throw UsageError("logs: --bytes is for out and err");
  }

  void show_range(const Task& task) const {
    const std::string name = streams_.size() == 1 ? streams_[0] : "stdout";
    const auto result = task.stream(name).peek(range_->begin, range_->end);
    say_loss(name, result.missed);
    if (!style_.harmless) {
      write_stdout(result.data);
      return;
    }
    TerminalFilter filter;
    const std::string text = filter.feed(result.data);
    write_stdout(text + filter.finish());
  }

  void show(Task& task) {
    cursor_ = cursor_file_.empty() ? after_.value_or(0) : read_cursor_file(cursor_file_);
    if (format_ == "json") {
      show_document(task);
    } else {
      LogPrinter printer(style_);
      if (show_past(task, printer) && printer.end_of_past() && follow_) show_future(task, printer);
      printer.finish();
    }
    save_cursor();
    if (show_cursor_) say("cursor " + std::to_string(cursor_));
  }

  // Hands over what there is now, page by page: chunks to `take` until it returns false (then so does this),
  // and what is gone to `loss`.
  bool read_past(Task& task, const std::function<bool(const OutputChunk&)>& take,
                 const std::function<void(const OutputLoss&)>& loss) {
    const Past past(task, streams_);
    const std::uint64_t page = page_size();
    while (true) {
      const std::uint64_t from = cursor_;
      const Output output =
          task.output({.cursor = cursor_, .streams = streams_, .max_bytes = page, .joined = joined()});
      loss(output.lost);
      for (const auto& chunk : output.chunks) {
        if (!past.contains(chunk)) return true;
        cursor_ = chunk.seq + 1;
        if (!take(chunk)) return false;
      }
      cursor_ = output.next;
      // Without a chunk and without a loss there was only what was not asked for, and that may never end.
      if (output.next == from || (output.chunks.empty() && !output.lost.any())) return true;
    }
  }

  bool joined() const { return format_ == "text" && !style_.needs_pieces(); }

  bool show_past(Task& task, LogPrinter& printer) {
    return read_past(
        task, [&](const OutputChunk& chunk) { return printer.take(chunk); },
        [](const OutputLoss& lost) { say_loss(lost); });
  }

  void show_document(Task& task) {
    Json chunks = Json::array();
    OutputLoss sum;
    const auto keep = [&](const OutputChunk& chunk) {
      chunks.push_back(chunk_as_json(chunk));
      return true;
    };
    read_past(task, keep, [&](const OutputLoss& lost) {
      sum.out += lost.out;
      sum.err += lost.err;
      sum.data += lost.data;
    });
    say_loss(sum);
    const Json lost = {{"stdout", sum.out}, {"stderr", sum.err}, {"data", sum.data}};
    write_stdout(json_text({{"chunks", chunks}, {"next", cursor_}, {"lost", lost}}) + "\n");
  }

  void show_future(Task& task, LogPrinter& printer) {
    std::optional<Seconds> time;
    if (std::isfinite(style_.filter.until)) time = Seconds(std::max(0.0, style_.filter.until - now()));
    follow_output(task, {.cursor = cursor_, .streams = streams_, .joined = joined()}, time,
                  [&](const Output& output) {
                    say_loss(output.lost);
                    for (const auto& chunk : output.chunks) {
                      cursor_ = chunk.seq + 1;
                      if (!printer.take(chunk)) return false;
                    }
                    cursor_ = output.next;
                    if (printer.settled()) save_cursor();
                    return true;
                  });
  }

  // What has been printed is printed: from here on a crash would show nothing twice.
  void save_cursor() const {
    if (!cursor_file_.empty()) write_cursor_file(cursor_file_, cursor_);
  }

  bool follow_;
  std::string grep_;
  bool ignore_case_ = false;
  bool raw_ = false;
  bool show_cursor_ = false;
  std::string format_ = "text";
  std::string cursor_file_;
  std::optional<std::uint64_t> after_;
  std::optional<ByteRange> range_;
  std::vector<std::string> streams_ = {"stdout", "stderr"};
  LogStyle style_;
  Selector selector_;
  std::uint64_t cursor_ = 0;
};

}  // namespace

VerbEntry logs_verb() {
  return {"logs", "log", "show a task's output; consumes nothing",
          []() -> std::unique_ptr<Verb> { return std::make_unique<LogsVerb>(false); }};
}

VerbEntry follow_verb() {
  return {"follow", "", "the same as 'logs -f'",
          []() -> std::unique_ptr<Verb> { return std::make_unique<LogsVerb>(true); }};
}

}  // namespace bgtask::cli
