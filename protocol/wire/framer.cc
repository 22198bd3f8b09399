#include <algorithm>

#include "protocol/wire/codec.h"
#include "protocol/wire/msgpack_scanner.h"

namespace bgtask::wire {
namespace {

// Below that another allocation is hardly less than a copy.
constexpr size_t kWorthSettingApart = 4096;
constexpr size_t kLeastRoom = 16 * 1024;
constexpr size_t kMostRoom = 256 * 1024;  // a little more than a socket holds

bool begins_msgpack_map(char first) {
  auto byte = static_cast<unsigned char>(first);
  return (byte >= 0x80 && byte <= 0x8f) || byte == 0xde || byte == 0xdf;
}

// By the tag that it has in msgpack.
Json empty_bytes(uint8_t tag, size_t room) {
  if (tag <= 0xc6) {
    Json::binary_t::container_type binary;
    binary.reserve(room);
    return Json::binary(std::move(binary));
  }
  std::string text;
  text.reserve(room);
  return Json(std::move(text));
}

void append(Json& value, std::string_view bytes) {
  if (value.is_string()) {
    value.get_ref<std::string&>().append(bytes);
  } else {
    Json::binary_t& binary = value.get_binary();
    const auto* begin = reinterpret_cast<const uint8_t*>(bytes.data());  // chars are copied one by one
    binary.insert(binary.end(), begin, begin + bytes.size());
  }
}

// Those of a string or a binary, after `change` has been made to how many they are.
std::span<char> resize(Json& value, ptrdiff_t change) {
  const auto changed = [change](auto& bytes) {
    bytes.resize(static_cast<size_t>(std::ssize(bytes) + change));
    return std::span(reinterpret_cast<char*>(bytes.data()), bytes.size());
  };
  return value.is_string() ? changed(value.get_ref<std::string&>()) : changed(value.get_binary());
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
  if (!encoding_) encoding_ = begins_msgpack_map(bytes.front()) ? Encoding::kMsgpack : Encoding::kJson;
  if (begin_ > 0) {
    buffer_.erase(0, begin_);
    begin_ = 0;
  }
  buffer_.append(fill_apart(bytes));
}

// Takes what belongs to the value that was set apart last; gives back what follows it.
std::string_view Framer::fill_apart(std::string_view bytes) {
  if (missing_ == 0) return bytes;
  const std::string_view content = bytes.substr(0, missing_);
  append(apart_.back().value, content);
  missing_ -= content.size();
  apart_size_ += content.size();
  return bytes.substr(content.size());
}

void Framer::make_room() {
  if (scanner_->content() < kWorthSettingApart) {
    buffer_.reserve(scanner_->wanted());  // once, not by doubling
  } else if (unread().size() > scanner_->wanted() - scanner_->content()) {
    set_apart();
  }
}

// Not all that is missing: new room is filled with zeros, so it is no more than the bytes that have come. Who
// announces much and sends little has little memory touched.
std::span<char> Framer::room() {
  if (missing_ < kLeastRoom) return {};
  const size_t arrived = raw_bytes(apart_.back().value).size();
  const size_t size = std::min({missing_, arrived, kMostRoom});
  if (size < kLeastRoom) return {};
  room_ = size;
  return resize(apart_.back().value, static_cast<ptrdiff_t>(size)).last(size);
}

void Framer::received(size_t size) {
  resize(apart_.back().value, static_cast<ptrdiff_t>(size) - static_cast<ptrdiff_t>(room_));
  missing_ -= size;
  apart_size_ += size;
  room_ = 0;
}

// The scanner stands at a long string or binary whose content has begun to arrive. In its place the buffer
// keeps one of its first byte, which the scanner and the decoder take for it.
void Framer::set_apart() {
  const size_t size = scanner_->content();
  const size_t at = scanner_->wanted() - size;
  const std::string_view arrived = unread().substr(at);
  const std::string_view header = unread().substr(scanner_->end(), at - scanner_->end());
  Json value = empty_bytes(static_cast<uint8_t>(header.front()), size);
  append(value, arrived);
  apart_.push_back({at, std::move(value)});
  missing_ = size - arrived.size();
  apart_size_ += arrived.size() - 1;
  const size_t length_at = begin_ + scanner_->end() + 1;
  buffer_.replace(length_at, header.size() - 2, header.size() - 2, '\0');
  buffer_[begin_ + at - 1] = 1;
  buffer_.resize(begin_ + at + 1);
}

std::optional<Result<Json>> Framer::next() {
  if (broken_ || !encoding_) return std::nullopt;
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
  std::vector<SetApart>().swap(apart_);
  apart_size_ = 0;
  missing_ = 0;
}

// An idle connection holds no memory.
void Framer::release_if_empty() {
  if (begin_ < buffer_.size()) return;
  std::string().swap(buffer_);
  begin_ = 0;
}

// Goes on to the end of the line, but stops where it is nested too deeply or too long: nothing that follows
// could mend that, and what had come with it must not decide which of the two it is.
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
      missing_ > 0 ? MsgpackScanner::Progress::kNeedMore : scanner_->scan(unread());
  bool need_more = progress == MsgpackScanner::Progress::kNeedMore;
  bool too_long = (need_more ? unread().size() : scanner_->end()) + apart_size_ > max_frame_;
  if (too_long) progress = MsgpackScanner::Progress::kTooLarge;
  switch (progress) {
    case MsgpackScanner::Progress::kNeedMore:
      if (missing_ == 0) make_room();
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
  last_frame_size_ = end + apart_size_;
  Result<Json> document = decode_scanned(unread().substr(0, end), limits_, std::move(apart_));
  begin_ += end;
  end_object();
  if (!document && document.error().code == ErrorCode::kParseError) {
    return break_off(ErrorCode::kParseError, std::move(document.error().message));
  }
  return document;
}

}  // namespace bgtask::wire
