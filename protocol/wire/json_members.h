// A JSON object whose members are parsed on demand.
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

/// For readers who need few members of many documents: the whole text is validated at once, as by
/// decode_json(), but only requested members are built.
class JsonMembers {
 public:
  /// As decode_json(); parse_error also if the text is not an object.
  static Result<JsonMembers> of(std::string text, DecodeLimits limits);

  std::optional<Json> find(std::string_view key) const;
  /// As find(); null if absent.
  Json get(std::string_view key) const;
  /// The whole document.
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
  std::optional<Json> whole_;  // set if the text is not plain JSON

  friend class MemberScan;
};

}  // namespace bgtask::wire
