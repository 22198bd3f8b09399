// Conditions on documents: k=v, k!=v, k.
#pragma once

#include <bgtask/json.h>

#include <string>
#include <string_view>
#include <vector>

namespace bgtask::cli {

/// How a condition compares a value with what is given.
enum class Comparison {
  kText,    ///< the value's text as `meta KEY` prints it
  kSearch,  ///< as a search does: equal, or equal as text ("5" is 5, "1" and "true" are true)
};

/// "key=value", "key!=value" or "key" (it is there). The key is a member's name or, where there is no such
/// member, a path of names with dots. != also holds where the key is absent; null differs from nothing but
/// is equal to "null".
class Condition {
 public:
  /// \throws UsageError
  static Condition parse(const std::string& text, Comparison comparison = Comparison::kSearch);
  bool holds_for(const Json& document) const;

 private:
  enum class Kind { kEqual, kDiffers, kExists };
  bool equals(const Json& value) const;

  Kind kind_ = Kind::kExists;
  Comparison comparison_ = Comparison::kSearch;
  std::string key_;
  std::string value_;
};

/// "a=b,c!=d": conditions with commas between them. \throws UsageError
std::vector<Condition> parse_conditions(const std::string& text, Comparison comparison);

/// The member `key`, or else what the path `key` (names with dots) leads to; nullptr for none.
const Json* find_value(const Json& document, std::string_view key);

/// "key=value" as metadata; see parse_value. \throws UsageError where there is no key or no "="
Json parse_assignment(const std::string& text);
/// A value of metadata. It is JSON where it is true, false, null, an object, an array, or a number that is
/// printed as the same text again; else it is that text: "1.10", "12e4", "-0" and numbers of 30 digits are
/// kept.
Json parse_value(const std::string& text);
/// \throws UsageError if `meta` has a name that could not select the task: an empty one, or one that begins
/// with @
void check_task_name(const Json& meta);
/// "key=JSON": whatever JSON is given. \throws UsageError
Json parse_json_assignment(const std::string& text);

}  // namespace bgtask::cli
