// Types that members of messages have, beside numbers and texts.
#pragma once

#include <csignal>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "protocol/wire/codec.h"
#include "protocol/wire/json.h"

namespace bgtask::wire {

/// Bytes of a stream or a message, held in the value in which they travel: neither direction copies them
/// again.
class Bytes {
 public:
  Bytes() = default;
  explicit Bytes(std::string_view bytes) : value_(binary_value(bytes)) {}
  /// Of a string, a binary value or a base64 object; no bytes of anything else.
  static Bytes of(Json value);

  std::string_view view() const { return raw_bytes(value_); }
  /// The bytes as a string, not copied where they arrived as one.
  std::string take() &&;
  Json value() && { return value_.is_null() ? binary_value("") : std::move(value_); }

 private:
  Json value_;
};

/// A stream by its number: 0 stdin, 1 stdout, 2 stderr, 3 data.
struct Stream {
  int number = 0;
  bool operator==(const Stream&) const = default;
};

/// Output streams, as bits: 1 << number.
struct StreamSet {
  static constexpr uint32_t kAll = 1u << 1 | 1u << 2 | 1u << 3;
  uint32_t bits = kAll;
  bool operator==(const StreamSet&) const = default;
};

struct Signal {
  int number = SIGKILL;
  bool operator==(const Signal&) const = default;
};

/// Which processes of a task a signal is for.
enum class SignalScope { kProcess, kGroup, kTree };
std::string_view scope_name(SignalScope scope);

/// What a `wait` waits for: the first of these.
struct WaitEvents {
  bool exit = false;
  bool output = false;
  bool eof = false;
  bool operator==(const WaitEvents&) const = default;
};

/// By their words; nothing for a word that is none, or for no words.
std::optional<WaitEvents> wait_events(const std::vector<std::string>& words);

/// What a `subscribe` wants to be told.
struct EventKinds {
  bool output = false;
  bool exit = false;
  bool meta = false;
  bool stream = false;
  bool operator==(const EventKinds&) const = default;
};

/// How much of each output stream is missing: bytes, and messages of data.
struct Lost {
  uint64_t out = 0;
  uint64_t err = 0;
  uint64_t data = 0;
  bool operator==(const Lost&) const = default;
  bool any() const { return out != 0 || err != 0 || data != 0; }
};

/// Of each output stream, whether output may be missing that nobody could count.
struct Gaps {
  bool out = false;
  bool err = false;
  bool data = false;
  bool operator==(const Gaps&) const = default;
};

}  // namespace bgtask::wire
