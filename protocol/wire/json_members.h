// A JSON object whose members are parsed when they are asked for.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/wire/codec.h"
#include "protocol/wire/json.h"
#include "protocol/wire/result.h"

namespace bgtask::wire {

/// For readers who want little of many documents: that the text is JSON within the limits is known at once,
/// as decode_json() knows it, but nothing is built of what nobody looks at.
class JsonMembers {
 public:
  /// As decode_json(); parse_error also where it is no object.
  static Result<JsonMembers> of(std::string text, DecodeLimits limits);

  std::optional<Json> find(std::string_view key) const;
  /// As find(); null where there is none.
  Json get(std::string_view key) const;
  /// The whole of it.
  Json document() const;

 private:
  struct Span {
    uint32_t begin = 0;
    uint32_t size = 0;
  };
  struct Member {
    Span key;
    Span value;
  };

  std::string_view view(Span span) const { return std::string_view(text_).substr(span.begin, span.size); }

  std::string text_;
  std::vector<Member> members_;
  std::optional<Json> whole_;  // where the text is not as plain as our own

  friend class MemberScan;
};

}  // namespace bgtask::wire
