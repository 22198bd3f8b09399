// Regular expressions on output, over RE2: linear in time whatever the expression and the text, by characters
// where they are UTF-8.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace re2 {
class RE2;
}

namespace bgtask::cli {

/// A regular expression in RE2's syntax. It is one of characters; bytes of the text that are not UTF-8 are
/// passed over by it as nothing that "." or a class matches. An expression that is itself not UTF-8 is one of
/// bytes.
class Regex {
 public:
  enum class Case { kMatters, kIgnored };

  /// \throws UsageError
  explicit Regex(const std::string& expression, Case letters = Case::kMatters);

  /// Whether it matches anywhere in the text; ^ and $ match at the beginning and end of each line in it. A
  /// newline at the end of the text is not part of it.
  bool matches(std::string_view text) const;

 private:
  std::shared_ptr<const re2::RE2> compiled_;
};

}  // namespace bgtask::cli
