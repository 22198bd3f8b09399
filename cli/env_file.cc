#include "cli/env_file.h"

#include <algorithm>

#include "cli/usage_error.h"

namespace bgtask::cli {
namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
constexpr std::string_view kBlanks = " \t";

void remove_prefix_if(std::string_view& text, std::string_view prefix) {
  if (text.starts_with(prefix)) text.remove_prefix(prefix.size());
}

std::string complaint(std::string_view line, std::string_view name) {
  if (line.find('\0') != std::string_view::npos) return "has a NUL byte";
  if (name.empty()) return "has no name before the '='";
  if (name.find_first_of(kBlanks) == std::string_view::npos) return "";
  const std::string blank = "has a blank in the name '" + std::string(name) + "'";
  return name.starts_with("export") ? blank + "; leave out 'export'" : blank;
}

EnvironmentLine parse_line(std::string_view line, const std::string& where) {
  const auto equals = line.find('=');
  const std::string_view name = line.substr(0, equals);
  if (const std::string wrong = complaint(line, name); !wrong.empty())
    throw UsageError(where + ": the line " + wrong);
  EnvironmentLine result{std::string(name), std::nullopt};
  if (equals != std::string_view::npos) result.value = line.substr(equals + 1);
  return result;
}

}  // namespace

std::vector<EnvironmentLine> parse_environment_file(std::string_view text, const std::string& path) {
  std::vector<EnvironmentLine> lines;
  remove_prefix_if(text, kByteOrderMark);
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    line.remove_prefix(std::min(line.find_first_not_of(kBlanks), line.size()));
    if (line.empty() || line.front() == '#') continue;
    lines.push_back(parse_line(line, path + ":" + std::to_string(number)));
  }
  return lines;
}

}  // namespace bgtask::cli
