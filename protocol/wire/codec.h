// The two encodings of messages. Bytes in, documents out; no descriptors.
//
// Binary values of a document, and strings that are not valid UTF-8, are "bytes": msgpack carries them as
// `bin`, whatever they hold; JSON as a string where they are valid UTF-8, else as {"base64": "…"}.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "protocol/wire/json.h"
#include "protocol/wire/long_values.h"
#include "protocol/wire/result.h"

namespace bgtask::wire {

enum class Encoding { kJson, kMsgpack };

class MsgpackScanner;

/// Limits a decoder enforces while it decodes, so that memory stays bounded whatever arrives.
struct DecodeLimits {
  size_t depth;
  size_t elements;
};
DecodeLimits request_limits();
/// For replies and published files, whose sender is trusted to be a supervisor of the right owner.
DecodeLimits reply_limits();

/// One JSON text. parse_error, too_deep, frame_too_large (too many elements).
Result<Json> decode_json(std::string_view text, DecodeLimits limits);
/// One complete msgpack object.
Result<Json> decode_msgpack(std::string_view bytes, DecodeLimits limits);

/// A single line without the newline. Never fails: what is not UTF-8 becomes base64 objects.
std::string encode_json(const Json& document);
std::string encode_json(Json&& document);  ///< without a copy of what holds bytes
std::string encode_msgpack(const Json& document);
/// A whole frame: with the newline for JSON.
std::string encode_frame(const Json& document, Encoding encoding);
std::string encode_frame(Json&& document, Encoding encoding);

/// Begins a request in msgpack whose last parameter is `size` bytes. The caller sends those bytes after it,
/// from where they lie.
std::string encode_request_head(const Json& id, std::string_view method, const Json& params,
                                std::string_view last, size_t size);

/// The value for bytes of a stream or a message: binary, so that its type does not depend on what it holds.
/// (Copied as bytes: from chars one by one it would take many times as long.)
Json binary_value(std::string_view bytes);
/// The value for what is nearly always text, as names and arguments: a string where it is valid UTF-8, else
/// binary.
Json text_value(std::string_view bytes);
/// The bytes of a string, a binary, or a {"base64": "…"} object; nothing if it is none of these.
std::optional<std::string> bytes_of(const Json& value);
/// The bytes of a string or a binary where they lie; none of other values.
std::string_view raw_bytes(const Json& value);
bool is_utf8(std::string_view bytes);
/// A name from a peer, made fit for a message: cut if it is long, '?' for each byte that is not printable
/// ASCII.
std::string printable_name(std::string_view name);

std::string base64_encode(std::string_view bytes);
std::optional<std::string> base64_decode(std::string_view text);

/// Cuts a byte stream into messages. Feed what arrives, then take messages until there is none.
///
///   framer.feed(bytes);
///   while (auto frame = framer.next()) { if (*frame) use(**frame); else error(frame->error()); }
///
/// After a malformed JSON line the framer goes on with the next line; after any other error `broken()` is
/// true and the connection has to be closed.
class Framer {
 public:
  /// `max_frame`: longest frame in bytes. The encoding is chosen by the first byte fed, unless given; the
  /// stream is broken where that can begin neither a message in JSON (blanks before it are) nor one in
  /// msgpack.
  Framer(size_t max_frame, DecodeLimits limits, std::optional<Encoding> encoding = std::nullopt);
  ~Framer();
  Framer(const Framer&) = delete;
  Framer& operator=(const Framer&) = delete;

  /// Adds bytes. Holds at most about max_frame of them beyond what next() has to give: call next() after each
  /// feed.
  void feed(std::string_view bytes);
  /// Where the next bytes may be received instead, because they will stay there: in the middle of a long
  /// string or binary of msgpack. Empty elsewhere. Goes with received(), which is to be the next call.
  std::span<char> room() { return long_values_.room(); }
  /// So many bytes, perhaps none, are in the room that was given.
  void received(size_t size) { long_values_.received(size); }
  /// The next complete message; nothing when more bytes are needed or after the stream broke.
  std::optional<Result<Json>> next();
  /// Size in bytes of the frame next() gave last.
  size_t last_frame_size() const { return last_frame_size_; }
  /// Whether a frame has begun and not ended.
  bool in_frame() const;
  bool broken() const { return broken_; }
  /// JSON until the first byte is known.
  Encoding encoding() const { return encoding_.value_or(Encoding::kJson); }
  bool encoding_known() const { return encoding_.has_value(); }

 private:
  std::optional<Result<Json>> next_json();
  std::optional<Result<Json>> next_msgpack();
  Result<Json> take_line(size_t end);
  Result<Json> too_deep_line();
  Result<Json> break_off(ErrorCode code, std::string message);
  void end_object();
  bool find_newline();
  void make_room();
  void drop_given();
  void release_if_empty();
  std::string_view unread() const { return std::string_view(buffer_).substr(begin_); }

  size_t max_frame_;
  DecodeLimits limits_;
  std::optional<Encoding> encoding_;
  std::string buffer_;  // bytes not yet given begin at begin_
  size_t begin_ = 0;
  size_t last_frame_size_ = 0;
  bool broken_ = false;
  bool wrong_start_ = false;  // the first byte is of neither encoding

  // JSON: how far the unfinished line has been looked at, and where in its text that is.
  struct LineState {
    size_t scanned = 0;
    size_t depth = 0;
    bool in_string = false;
    bool escaped = false;
    bool skipping = false;  // refused already: the rest up to the newline is dropped
  } line_;
  std::unique_ptr<MsgpackScanner> scanner_;
  LongValues long_values_;  // of the object that has not ended
};

}  // namespace bgtask::wire
