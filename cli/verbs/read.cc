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
          {"lost", result.lost},         {"eof", result.eof}};
}

Json as_json(const MessagesResult& result) {
  Json messages = Json::array();
  for (const auto& message : result) {
    messages.push_back(
        {{"offset", message.offset}, {"time", message.time}, {"data", bytes_as_json(message.data)}});
  }
  return {{"offset", result.offset},     {"messages", messages},
          {"missed", result.missed},     {"start", result.start},
          {"consumed", result.consumed}, {"limit", result.limit},
          {"lost", result.lost},         {"eof", result.eof}};
}

std::string bytes_of(const Json& data) {
  if (!data.is_binary()) return data.get<std::string>();
  const auto& bytes = data.get_binary();
  return std::string(bytes.begin(), bytes.end());
}

// Takes `count` bytes or messages from the first unconsumed one on. The supervisor is asked, not told, where
// that is: of two readers at the same time each byte goes to one. Replies are pages, so it takes several for
// a large count.
Json take_count(Task& task, const std::string& stream, std::uint64_t count) {
  const bool is_data = stream == "data";
  Json all;
  std::string bytes;
  Json messages = Json::array();
  std::uint64_t missed = 0;
  std::uint64_t got = 0;
  while (true) {
    const Json page = task.call("read", {{"stream", stream}, {"count", count - got}});
    const auto offset = all.is_null() ? page.at("offset") : all.at("offset");
    all = page;
    all["offset"] = offset;
    missed += page.at("missed").get<std::uint64_t>();
    const std::uint64_t before = got;
    if (is_data) {
      for (const auto& message : page.at("messages"))
        messages.push_back(message);
      got = messages.size();
    } else {
      bytes += bytes_of(page.at("data"));
      got = bytes.size();
    }
    if (got == before || got >= count) break;
  }
  all["missed"] = missed;
  if (is_data) {
    all["messages"] = std::move(messages);
  } else {
    all["data"] = Json::binary(std::vector<std::uint8_t>(bytes.begin(), bytes.end()));
  }
  return all;
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
    if (count_ && !offset_ && !peek_ && !discard_ && !is_lost(task)) {
      print(take_count(task, stream_, std::min(*count_, kLargestOffset)));
    } else if (discard_) {
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
  // Where there is no supervisor to ask, nobody consumes either.
  static bool is_lost(const Task& task) { return task.snapshot().at("status").value("state", "") == "lost"; }
  bool is_whole() const { return !offset_ && !count_; }

  ReadResult bytes(const Stream& stream) const {
    if (is_whole()) return peek_ ? stream.peek() : stream.read();
    const auto first = begin(stream);
    return peek_ ? stream.peek(first, end(first)) : stream.read(first, end(first));
  }

  MessagesResult messages(const Stream& stream) const {
    if (is_whole()) return peek_ ? stream.peek_messages() : stream.messages();
    const auto first = begin(stream);
    return peek_ ? stream.peek_messages(first, end(first)) : stream.messages(first, end(first));
  }

  void discard(const Stream& stream) const {
    const auto result = is_whole() ? stream.discard() : stream.discard(end(begin(stream)));
    if (format_ == "json") print(result);
  }

  void print(const Json& reply) const {
    say_loss(stream_, reply.at("missed").get<std::uint64_t>());
    if (format_ == "json") {
      Json shown = reply;
      if (shown.contains("data")) shown["data"] = bytes_as_json(bytes_of(reply.at("data")));
      write_stdout(json_text(shown) + "\n");
    } else if (stream_ == "data") {
      std::string text;
      for (const auto& message : reply.at("messages"))
        text += as_line(bytes_of(message.at("data")));
      write_output(text);
    } else {
      write_output(bytes_of(reply.at("data")));
    }
  }

  static std::string as_line(const std::string& message) {
    return message + (message.ends_with('\n') ? "" : "\n");
  }

  void print(const ReadResult& result) const {
    say_loss(stream_, result.missed);
    format_ == "json" ? write_stdout(json_text(as_json(result)) + "\n") : write_output(result.data);
  }

  void print(const MessagesResult& result) const {
    say_loss(stream_, result.missed);
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
