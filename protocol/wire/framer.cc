#include <algorithm>

#include "protocol/wire/codec.h"
#include "protocol/wire/msgpack_scanner.h"

namespace bgtask::wire {
namespace {

// What the first byte of a connection begins: a map or an array of msgpack (a batch, which is refused as
// one), or the same in JSON, with blanks before it.
std::optional<Encoding> encoding_of(char first) {
  const auto byte = static_cast<unsigned char>(first);
  if ((byte >= 0x80 && byte <= 0x9f) || (byte >= 0xdc && byte <= 0xdf)) return Encoding::kMsgpack;
  if (std::string_view("{[ \t\r\n").find(first) != std::string_view::npos) return Encoding::kJson;
  return std::nullopt;
}

bool is_blank(std::string_view line) {
  return std::all_of(line.begin(), line.end(), [](char c) { return c == ' ' || c == '\t' || c == '\r'; });
}

}  // namespace

Framer::Framer(size_t max_frame, DecodeLimits limits, std::optional<Encoding> encoding)
    : max_frame_(max_frame), limits_(limits), encoding_(encoding) {}

Framer::~Framer() = default;

void Framer::feed(std::string_view bytes) {
  if (broken_ || bytes.empty()) return;
  if (!encoding_) {
    const std::optional<Encoding> begun = encoding_of(bytes.front());
    wrong_start_ = !begun;
    encoding_ = begun.value_or(Encoding::kJson);
  }
  drop_given();
  buffer_.append(long_values_.fill(bytes));
}

void Framer::drop_given() {
  if (begin_ == 0) return;
  buffer_.erase(0, begin_);
  begin_ = 0;
}

// The scanner stands at a value that has not arrived completely.
void Framer::make_room() {
  const size_t size = scanner_->content();
  const size_t content = scanner_->wanted() - size;
  if (size < LongValues::kLeast) {
    buffer_.reserve(scanner_->wanted());  // once, not by doubling
  } else if (unread().size() > content) {
    drop_given();
    long_values_.begin(buffer_, scanner_->end(), content, size);
  }
}

std::optional<Result<Json>> Framer::next() {
  if (broken_ || !encoding_) return std::nullopt;
  if (wrong_start_) {
    return break_off(ErrorCode::kParseError,
                     "neither JSON nor msgpack: the first byte must begin a JSON or a msgpack object");
  }
  return *encoding_ == Encoding::kJson ? next_json() : next_msgpack();
}

bool Framer::in_frame() const {
  return !broken_ && (begin_ < buffer_.size() || line_.skipping);
}

Result<Json> Framer::break_off(ErrorCode code, std::string message) {
  broken_ = true;
  std::string().swap(buffer_);
  begin_ = 0;
  end_object();
  return fail(code, std::move(message));
}

void Framer::end_object() {
  scanner_.reset();
  long_values_ = {};
}

// An idle connection holds no memory.
void Framer::release_if_empty() {
  if (begin_ < buffer_.size()) return;
  std::string().swap(buffer_);
  begin_ = 0;
}

// Scans to the end of the line, but stops where it is too deep or too long: later bytes cannot mend that, and
// the way the input was cut must not decide which of the two errors it is.
bool Framer::find_newline() {
  std::string_view text = unread();
  for (; line_.scanned < text.size() && (line_.skipping || line_.scanned <= max_frame_); ++line_.scanned) {
    char c = text[line_.scanned];
    if (c == '\n') return true;
    if (line_.skipping) continue;
    if (line_.in_string) {
      if (!line_.escaped && c == '"') line_.in_string = false;
      line_.escaped = !line_.escaped && c == '\\';
    } else if (c == '"') {
      line_.in_string = true;
    } else if (c == '[' || c == '{') {
      if (++line_.depth > limits_.depth) return false;
    } else if ((c == ']' || c == '}') && line_.depth > 0) {
      --line_.depth;
    }
  }
  return false;
}

Result<Json> Framer::too_deep_line() {
  line_.skipping = true;
  line_.depth = 0;
  return fail(ErrorCode::kTooDeep,
              "the message is nested deeper than " + std::to_string(limits_.depth) + " levels");
}

Result<Json> Framer::take_line(size_t end) {
  std::string_view line = unread().substr(0, end);
  begin_ += end + 1;
  line_ = {};
  last_frame_size_ = line.size();
  return decode_json(line, limits_);
}

std::optional<Result<Json>> Framer::next_json() {
  while (true) {
    bool complete = find_newline();
    if (line_.skipping) {
      begin_ += line_.scanned + (complete ? 1 : 0);
      line_.scanned = 0;
      if (!complete) {
        release_if_empty();
        return std::nullopt;
      }
      line_ = {};
      continue;
    }
    if (line_.depth > limits_.depth) return too_deep_line();
    if (line_.scanned > max_frame_) {
      return break_off(ErrorCode::kFrameTooLarge,
                       "the message is longer than " + std::to_string(max_frame_) + " bytes");
    }
    if (!complete) {
      release_if_empty();
      return std::nullopt;
    }
    if (!is_blank(unread().substr(0, line_.scanned))) return take_line(line_.scanned);
    begin_ += line_.scanned + 1;
    line_ = {};
  }
}

std::optional<Result<Json>> Framer::next_msgpack() {
  if (begin_ == buffer_.size()) {
    release_if_empty();
    return std::nullopt;
  }
  if (!scanner_) scanner_ = std::make_unique<MsgpackScanner>(limits_, max_frame_);
  MsgpackScanner::Progress progress =
      long_values_.incomplete() ? MsgpackScanner::Progress::kNeedMore : scanner_->scan(unread());
  bool need_more = progress == MsgpackScanner::Progress::kNeedMore;
  bool too_long = (need_more ? unread().size() : scanner_->end()) + long_values_.elsewhere() > max_frame_;
  if (too_long) progress = MsgpackScanner::Progress::kTooLarge;
  switch (progress) {
    case MsgpackScanner::Progress::kNeedMore:
      if (!long_values_.incomplete()) make_room();
      return std::nullopt;
    case MsgpackScanner::Progress::kTooDeep:
      return break_off(ErrorCode::kTooDeep,
                       "the message is nested deeper than " + std::to_string(limits_.depth) + " levels");
    case MsgpackScanner::Progress::kTooLarge:
      if (!too_long) {
        return break_off(ErrorCode::kFrameTooLarge,
                         "the message has a part that is longer, or more elements, than any may have");
      }
      return break_off(ErrorCode::kFrameTooLarge,
                       "the message is longer than " + std::to_string(max_frame_) + " bytes");
    case MsgpackScanner::Progress::kMalformed:
      return break_off(ErrorCode::kParseError, "not msgpack, or of a type that is not used here");
    case MsgpackScanner::Progress::kComplete:
      break;
  }
  const size_t end = scanner_->end();
  last_frame_size_ = end + long_values_.elsewhere();
  Result<Json> document = decode_scanned(unread().substr(0, end), limits_, long_values_.take());
  begin_ += end;
  end_object();
  if (!document && document.error().code == ErrorCode::kParseError) {
    return break_off(ErrorCode::kParseError, std::move(document.error().message));
  }
  return document;
}

}  // namespace bgtask::wire
