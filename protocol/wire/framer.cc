#include <algorithm>
#include <msgpack.hpp>

#include "protocol/wire/codec.h"
#include "protocol/wire/msgpack_convert.h"

namespace bgtask::wire {
namespace {

constexpr size_t kUnpackerStart = 4096;  // msgpack-c's default of 64 KiB a connection is more than most need

bool begins_msgpack_map(char first) {
  auto byte = static_cast<unsigned char>(first);
  return (byte >= 0x80 && byte <= 0x8f) || byte == 0xde || byte == 0xdf;
}

bool is_blank(std::string_view line) {
  return std::all_of(line.begin(), line.end(), [](char c) { return c == ' ' || c == '\t' || c == '\r'; });
}

}  // namespace

// msgpack-c's incremental parser and the count of bytes it holds of an unfinished frame, which bounds it.
struct Framer::Unpacker {
  explicit Unpacker(DecodeLimits limits, size_t max_frame)
      : parser(nullptr, nullptr, kUnpackerStart, unpack_limit(limits, max_frame)) {}
  msgpack::unpacker parser;
  size_t held = 0;
};

Framer::Framer(size_t max_frame, DecodeLimits limits, std::optional<Encoding> encoding)
    : max_frame_(max_frame), limits_(limits), encoding_(encoding) {}

Framer::~Framer() = default;

void Framer::feed(std::string_view bytes) {
  if (broken_ || bytes.empty()) return;
  if (!encoding_) encoding_ = begins_msgpack_map(bytes.front()) ? Encoding::kMsgpack : Encoding::kJson;
  if (*encoding_ == Encoding::kJson) {
    buffer_.erase(0, begin_);
    scanned_ -= begin_;
    begin_ = 0;
    buffer_.append(bytes);
    return;
  }
  if (!unpacker_) unpacker_ = std::make_unique<Unpacker>(limits_, max_frame_);
  unpacker_->parser.reserve_buffer(bytes.size());
  std::copy(bytes.begin(), bytes.end(), unpacker_->parser.buffer());
  unpacker_->parser.buffer_consumed(bytes.size());
  unpacker_->held += bytes.size();
}

std::optional<Result<Json>> Framer::next() {
  if (broken_ || !encoding_) return std::nullopt;
  return *encoding_ == Encoding::kJson ? next_json() : next_msgpack();
}

bool Framer::in_frame() const {
  if (broken_) return false;
  return begin_ < buffer_.size() || (unpacker_ && unpacker_->held > 0);
}

tl::unexpected<Failure> Framer::too_large() {
  broken_ = true;
  buffer_ = std::string();
  begin_ = scanned_ = 0;
  unpacker_.reset();
  return fail(ErrorCode::kFrameTooLarge,
              "the message is longer than " + std::to_string(max_frame_) + " bytes");
}

std::optional<Result<Json>> Framer::next_json() {
  while (true) {
    size_t newline = buffer_.find('\n', scanned_);
    if (newline == std::string::npos) {
      scanned_ = buffer_.size();
      if (buffer_.size() - begin_ > max_frame_) return Result<Json>(too_large());
      if (begin_ == buffer_.size()) {
        buffer_ = std::string();  // gives the memory back: an idle connection holds none
        begin_ = scanned_ = 0;
      }
      return std::nullopt;
    }
    std::string_view line(buffer_.data() + begin_, newline - begin_);
    begin_ = scanned_ = newline + 1;
    if (line.size() > max_frame_) return Result<Json>(too_large());
    if (is_blank(line)) continue;
    last_frame_size_ = line.size();
    return decode_json(line, limits_);
  }
}

std::optional<Result<Json>> Framer::next_msgpack() {
  if (!unpacker_) return std::nullopt;
  try {
    msgpack::object_handle handle;
    if (unpacker_->parser.next(handle)) {
      size_t left = unpacker_->parser.nonparsed_size();
      last_frame_size_ = unpacker_->held - left;
      unpacker_->held = left;
      if (last_frame_size_ > max_frame_) return Result<Json>(too_large());
      Result<Json> document = to_document(handle.get(), limits_.elements);
      if (!document && document.error().code == ErrorCode::kParseError) broken_ = true;
      if (left == 0) unpacker_.reset();
      return document;
    }
    if (unpacker_->held > max_frame_) return Result<Json>(too_large());
    if (unpacker_->held == 0) unpacker_.reset();
    return std::nullopt;
  } catch (const std::exception& error) {
    Failure failure = unpack_failure(error);
    broken_ = true;
    unpacker_.reset();
    return Result<Json>(fail(std::move(failure)));
  }
}

}  // namespace bgtask::wire
