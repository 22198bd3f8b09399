#include "cli/regex.h"

#include <re2/re2.h>

#include "cli/usage_error.h"
#include "protocol/wire/codec.h"

namespace bgtask::cli {
namespace {

re2::RE2::Options options_for(const std::string& expression, Regex::Case letters) {
  re2::RE2::Options options(wire::is_utf8(expression) ? re2::RE2::DefaultOptions : re2::RE2::Latin1);
  options.set_log_errors(false);
  options.set_case_sensitive(letters == Regex::Case::kMatters);
  return options;
}

}  // namespace

Regex::Regex(const std::string& expression, Case letters)
    : compiled_(std::make_shared<const re2::RE2>("(?m)" + expression, options_for(expression, letters))) {
  if (!compiled_->ok())
    throw UsageError("'" + expression + "' is not a regular expression: " + compiled_->error());
}

bool Regex::matches(std::string_view text) const {
  if (text.ends_with('\n')) text.remove_suffix(1);
  return re2::RE2::PartialMatch(re2::StringPiece(text.data(), text.size()), *compiled_);
}

}  // namespace bgtask::cli
