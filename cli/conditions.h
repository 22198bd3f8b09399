// Conditions on documents: k=v, k!=v, k.
#pragma once

#include <bgtask/json.h>

#include <string>
#include <string_view>
#include <vector>

namespace bgtask::cli {

/// "key=value", "key!=value" or "key" (it is there). The key is a member's name or, where there is no such
/// member, a path of names with dots. Values compare as in a search: equal, or equal as text ("5" is 5, "1"
/// and "true" are true); != also holds where the key is absent.
class Condition {
 public:
  /// \throws UsageError
  static Condition parse(const std::string& text);
  bool holds_for(const Json& document) const;

 private:
  enum class Kind { kEqual, kDiffers, kExists };
  Kind kind_ = Kind::kExists;
  std::string key_;
  std::string value_;
};

/// "a=b,c!=d": conditions with commas between them. \throws UsageError
std::vector<Condition> parse_conditions(const std::string& text);

/// The member `key`, or else what the path `key` (names with dots) leads to; nullptr for none.
const Json* find_value(const Json& document, std::string_view key);

/// "key=value" as metadata. The value is JSON where it is a number, true, false, null, an object or an array,
/// else a string. \throws UsageError where there is no key or no "="
Json parse_assignment(const std::string& text);
/// The value alone.
Json parse_value(const std::string& text);

}  // namespace bgtask::cli
