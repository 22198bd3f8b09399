// Files of environment variables, as `run --env-file` reads them.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace bgtask::cli {

/// One line of the file: a variable and its value, or none where the caller's value is meant.
struct EnvironmentLine {
  std::string name;
  std::optional<std::string> value;
  bool operator==(const EnvironmentLine&) const = default;
};

/// Reads what docker reads: lines NAME=VALUE or NAME. Blanks before the name, a UTF-8 byte order mark at the
/// beginning and a CR at a line's end are passed over, and so are blank lines and those that begin with #.
/// The value is all that follows the first "=", quotes and blanks included. `path` is for messages only.
/// \throws UsageError with file and line: for a line without a name, a name with blanks in it ("export K=V"),
/// and a NUL byte
std::vector<EnvironmentLine> parse_environment_file(std::string_view text, const std::string& path);

}  // namespace bgtask::cli
