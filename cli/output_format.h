// JSON on stdout.
#pragma once

#include <bgtask/json.h>

#include <string>
#include <string_view>

namespace bgtask::cli {

/// Bytes as JSON has them: a string where they are UTF-8, else {"base64": "…"}.
Json bytes_as_json(std::string_view bytes);
/// One line without newline. ASCII only, control characters escaped, binary values as {"base64": "…"}.
std::string json_line(const Json& document);
/// The same, indented for people.
std::string json_text(const Json& document);
/// A value for people: strings, and bytes that are no UTF-8, bare, everything else as JSON. Control
/// characters are as they are.
std::string plain_text(const Json& value);

}  // namespace bgtask::cli
