// bgtask read: take a task's output.

#include <algorithm>

#include "cli/console.h"
#include "cli/escaping.h"
#include "cli/follow.h"
#include "cli/output_format.h"
#include "cli/selector.h"
#include "cli/sizes_and_times.h"
#include "cli/usage_error.h"
#include "cli/verb.h"

namespace bgtask::cli {
namespace {

// Offsets are 63 bits in the protocol.
constexpr std::uint64_t kLargestOffset = INT64_MAX;

Json as_json(const ReadResult& result) {
  return {{"offset", result.offset},     {"data", bytes_as_json(result.data)},
          {"missed", result.missed},     {"start", result.start},
          {"consumed", result.consumed}, {"limit", result.limit},
          {"lost", result.lost},         {"eof", result.eof},
          {"taken", result.taken}};
}

Json as_json(const MessagesResult& result) {
  Json messages = Json::array();
  for (const auto& message : result) {
    messages.push_back(
        {{"offset", message.offset}, {"time", message.time}, {"data", bytes_as_json(message.data)}});
  }
  return {{"offset", result.offset}, {"messages", messages},        {"missed", result.missed},
          {"start", result.start},   {"consumed", result.consumed}, {"limit", result.limit},
          {"lost", result.lost},     {"eof", result.eof},           {"taken", result.taken}};
}

class ReadVerb : public Verb {
 public:
  void declare(Command& command) override {
    command.usage("TASK");
    command.examples({"bgtask read web > new-output           # all of stdout that nobody has read yet",
                      "bgtask read --stream err --peek web    # look, do not take",
                      "bgtask read --offset 12 --count 23 web # bytes 12 to 34, if they are still there",
                      "bgtask read --stream data -o json web  # messages with their times"});
    command.option("--stream", "out|err|data", "which stream (default: out)",
                   [this](const std::string& text) { set_stream(text); });
    command.flag("--peek", "consume nothing", &peek_);
    command.flag("--discard", "consume without printing", &discard_);
    command.option("--offset", "N", "from this byte (message) on; default: the first unconsumed",
                   [this](const std::string& text) { offset_ = parse_size(text); });
    command.option("--count", "N", "so many bytes (messages) at most",
                   [this](const std::string& text) { count_ = parse_size(text); });
    command.flag("--raw", "control characters as they are, also on a terminal", &raw_);
    declare_selector(command, selector_);
    command.choice("-o,--output", {"raw", "json"},
                   "raw (default): the bytes, data messages one a line; json: a document", &format_);
  }

  int execute(Session& session, const std::vector<std::string>& positionals) override {
    selector_.words = positionals;
    if (peek_ && discard_) throw UsageError("read: --peek and --discard exclude each other");
    Task task = select_one(session, selector_);
    const Stream stream = task.stream(stream_);
    if (discard_) {
      discard(stream);
    } else if (stream_ == "data") {
      print(messages(stream));
    } else {
      print(bytes(stream));
    }
    return 0;
  }

 private:
  void set_stream(const std::string& text) {
    if (text == "out" || text == "stdout" || text == "1") {
      stream_ = "stdout";
    } else if (text == "err" || text == "stderr" || text == "2") {
      stream_ = "stderr";
    } else if (text == "data") {
      stream_ = "data";
    } else {
      throw UsageError("'" + text + "' is not out, err or data");
    }
  }

  // The first offset to read, where one is needed to say how far.
  std::uint64_t begin(const Stream& stream) const { return offset_ ? *offset_ : stream.consumed(); }
  std::optional<std::uint64_t> end(std::uint64_t begin) const {
    return count_ ? std::optional(begin + std::min(*count_, kLargestOffset - std::min(begin, kLargestOffset)))
                  : std::nullopt;
  }
  bool is_whole() const { return !offset_ && !count_; }

  ReadResult bytes(const Stream& stream) const {
    if (is_whole()) return peek_ ? stream.peek() : stream.read();
    if (!offset_ && !peek_) return stream.take(*count_);
    const auto first = begin(stream);
    return peek_ ? stream.peek(first, end(first)) : stream.read(first, end(first));
  }

  MessagesResult messages(const Stream& stream) const {
    if (is_whole()) return peek_ ? stream.peek_messages() : stream.messages();
    if (!offset_ && !peek_) return stream.take_messages(*count_);
    const auto first = begin(stream);
    return peek_ ? stream.peek_messages(first, end(first)) : stream.messages(first, end(first));
  }

  void discard(const Stream& stream) const {
    const auto result = is_whole() ? stream.discard() : stream.discard(end(begin(stream)));
    if (format_ == "json") print(result);
  }

  static std::string as_line(const std::string& message) {
    return message + (message.ends_with('\n') ? "" : "\n");
  }

  void print(const ReadResult& result) const {
    say_missing(stream_, result.missed - result.taken, result.taken);
    say_gap({.out = result.gap && stream_ == "stdout",
             .err = result.gap && stream_ == "stderr",
             .data = result.gap && stream_ == "data"});
    format_ == "json" ? write_stdout(json_text(as_json(result)) + "\n") : write_output(result.data);
  }

  void print(const MessagesResult& result) const {
    say_missing(stream_, result.missed - result.taken, result.taken);
    say_gap({.out = result.gap && stream_ == "stdout",
             .err = result.gap && stream_ == "stderr",
             .data = result.gap && stream_ == "data"});
    if (format_ == "json") {
      write_stdout(json_text(as_json(result)) + "\n");
      return;
    }
    std::string text;
    for (const auto& message : result)
      text += as_line(message.data);
    write_output(text);
  }

  void write_output(const std::string& output) const {
    if (raw_ || !stdout_is_terminal()) return write_stdout(output);
    TerminalFilter filter;
    const std::string harmless = filter.feed(output);
    write_stdout(harmless + filter.finish());
  }

  std::string stream_ = "stdout";
  std::string format_ = "raw";
  bool peek_ = false;
  bool discard_ = false;
  bool raw_ = false;
  std::optional<std::uint64_t> offset_;
  std::optional<std::uint64_t> count_;
  Selector selector_;
};

}  // namespace

VerbEntry read_verb() {
  return {"read", "", "take a task's output: what is read is consumed",
          []() -> std::unique_ptr<Verb> { return std::make_unique<ReadVerb>(); }};
}

}  // namespace bgtask::cli
