// bgtask logs: a task's output, to look at. Never consumes.

#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>
#include <list>
#include <utility>

#include "cli/console.h"
#include "cli/cursor_file.h"
#include "cli/exit_status.h"
#include "cli/follow.h"
#include "cli/interruption.h"
#include "cli/log_printer.h"
#include "cli/output_format.h"
#include "cli/points_in_time.h"
#include "cli/selector.h"
#include "cli/sizes_and_times.h"
#include "cli/task_log.h"
#include "cli/usage_error.h"
#include "cli/verb.h"

namespace bgtask::cli {
namespace {

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

Json by_stream(const OutputLoss& loss) {
  return {{"stdout", loss.out}, {"stderr", loss.err}, {"data", loss.data}};
}

class LogsVerb : public Verb {
 public:
  explicit LogsVerb(bool follow) : follow_(follow) {}

  void declare(Command& command) override {
    command.usage("[TASK…]");
    command.examples({"bgtask logs web", "bgtask logs -f -n 20 web",
                      "bgtask logs -f -l team=web            # several at once",
                      "bgtask logs -t --since 10m --stream err web",
                      "bgtask logs --since 'yesterday 14:00' -i -g 'error|warn' web",
                      "bgtask logs --cursor-file ~/.web.cursor web   # only what is new",
                      "bgtask logs -o jsonl --stream all web | jq .data", "bgtask logs --bytes 12:35 web"});
    declare_what(command);
    declare_how(command);
    declare_selector(command, selector_);
  }

  int execute(Session& session, const std::vector<std::string>& positionals) override {
    selector_.words = positionals;
    selector_.one_per_name = follow_;
    check();
    if (range_) {
      const Task task = select_one(session, selector_);
      show_range(task);
      return 0;
    }
    Selection selection = cursors_wanted() ? Selection{{select_one(session, selector_)}}
                                           : select_some(session, selector_, "logs");
    const int status = follow_ ? follow(selection.tasks) : show(selection.tasks);
    return selection.complete ? status : kExitFailure;
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
    command.flag("--split", "the task's stderr to stderr (else both go to stdout)", &style_.split);
    command.flag("--no-prefix", "of several tasks: without 'NAME | ' before each line", &no_prefix_);
    command.flag("--collapse-cr",
                 "of progress shown by carriage returns only the last state (the default on a terminal)",
                 &style_.collapse_lines);
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
    if (format_ == "text" && !raw_) style_.fit_terminals();
    if (format_ != "text" && (style_.split || style_.collapse_lines))
      throw UsageError("logs: --split and --collapse-cr are for text");
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
    say_missing(name, result.missed - result.taken, result.taken);
    if (!style_.out.harmless) {
      write_stdout(result.data);
      return;
    }
    TerminalFilter filter;
    const std::string text = filter.feed(result.data);
    write_stdout(text + filter.finish());
  }

  bool cursors_wanted() const { return after_ || !cursor_file_.empty(); }

  // Each task's own, so that lines of several can be told apart.
  std::vector<LogStyle> styles_for(const std::vector<Task>& tasks) const {
    std::vector<LogStyle> styles(tasks.size(), style_);
    if (tasks.size() < 2) return styles;
    const auto names = no_prefix_ || format_ != "text" ? std::vector<std::string>() : log_names(tasks);
    for (std::size_t i = 0; i < tasks.size(); ++i) {
      if (!names.empty()) styles[i].prefix = names[i] + " | ";
      if (format_ == "jsonl") styles[i].pid = tasks[i].pid();
    }
    return styles;
  }

  CursorMark first_cursor() const {
    return cursor_file_.empty() ? CursorMark{after_.value_or(0), {}} : read_cursor_file(cursor_file_);
  }

  // One after the other, each with its connection and descriptors gone before the next.
  int show(std::vector<Task>& tasks) {
    int status = 0;
    const auto styles = styles_for(tasks);
    for (std::size_t i = 0; i < tasks.size(); ++i) {
      Task task = std::move(tasks[i]);
      try {
        format_ == "json" ? show_document(task) : show_lines(task, styles[i]);
      } catch (const Error& error) {
        say_failure(task.pid(), error);
        status = kExitFailure;
      }
    }
    return status;
  }

  void show_lines(const Task& task, const LogStyle& style) const {
    TaskLog log(task, style, streams_, first_cursor());
    log.show_past();
    log.finish();
    close(log);
  }

  int follow(std::vector<Task>& tasks) {
    int status = 0;
    const auto styles = styles_for(tasks);
    if (tasks.size() > kFewTasks) raise_descriptor_limit();
    std::list<TaskLog> logs;
    Follower follower;
    follower.needs_reader();
    for (std::size_t i = 0; i < tasks.size(); ++i) {
      TaskLog& log = logs.emplace_back(std::move(tasks[i]), styles[i], streams_, first_cursor());
      try {
        if (!log.show_past() || !log.end_of_past()) continue;
      } catch (const Error& error) {
        say_failure(log.task().pid(), error);
        status = kExitFailure;
        continue;
      }
      log.task().disconnect();
      follower.add(
          log.task(), log.rest(),
          [this, &log](const Output& output) {
            const bool more = log.take(output);
            if (log.settled()) save_cursor(log);
            return more;
          },
          [&status, &log](Task& task, const TaskEnd& end) {
            if (end.kind == TaskEnd::Kind::kLost) log.look_for_gap();
            if (end.kind != TaskEnd::Kind::kGone || end.error.code() == "not_found") return;
            say_failure(task.pid(), end.error);
            status = kExitFailure;
          });
    }
    std::optional<Seconds> time;
    if (std::isfinite(style_.filter.until)) time = Seconds(std::max(0.0, style_.filter.until - now()));
    if (follower.run(time) == Follower::Outcome::kReaderGone) die_of(SIGPIPE);
    for (TaskLog& log : logs) {
      log.finish();
      close(log);
    }
    return status;
  }

  void close(const TaskLog& log) const {
    save_cursor(log);
    if (show_cursor_) say("cursor " + std::to_string(log.mark().cursor));
  }

  // What has been printed is printed: from here on a crash would show nothing twice.
  void save_cursor(const TaskLog& log) const {
    if (!cursor_file_.empty()) write_cursor_file(cursor_file_, log.mark());
  }

  void show_document(Task& task) const {
    Json chunks = Json::array();
    OutputLoss lost, taken;
    const CursorMark mark = first_cursor();
    OutputOptions options{.cursor = mark.cursor, .streams = streams_, .offsets = mark.offsets};
    const auto keep = [&](const OutputChunk& chunk) {
      chunks.push_back(chunk_as_json(chunk));
      return true;
    };
    OutputGap gap;
    read_past(task, options, keep, [&](const Output& output) {
      lost += output.lost;
      taken += output.taken;
      gap = output.gap;
    });
    say_missing(lost, taken);
    say_gap(gap);
    const Json document = {
        {"chunks", chunks}, {"next", options.cursor}, {"lost", by_stream(lost)}, {"taken", by_stream(taken)}};
    write_stdout(json_text(document) + "\n");
    if (!cursor_file_.empty()) write_cursor_file(cursor_file_, {options.cursor, options.offsets});
    if (show_cursor_) say("cursor " + std::to_string(options.cursor));
  }

  static constexpr std::size_t kFewTasks = 64;  // whose descriptors fit under any limit

  bool follow_;
  std::string grep_;
  bool ignore_case_ = false;
  bool raw_ = false;
  bool no_prefix_ = false;
  bool show_cursor_ = false;
  std::string format_ = "text";
  std::string cursor_file_;
  std::optional<std::uint64_t> after_;
  std::optional<ByteRange> range_;
  std::vector<std::string> streams_ = {"stdout", "stderr"};
  LogStyle style_;
  Selector selector_;
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
