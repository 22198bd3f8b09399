// JSON and tables on stdout.
#pragma once

#include <bgtask/json.h>

#include <string>
#include <string_view>
#include <vector>

namespace bgtask::cli {

/// Bytes as JSON has them: a string where they are UTF-8, else {"base64": "…"}.
Json bytes_as_json(std::string_view bytes);
/// One line without newline. ASCII only, control characters escaped, binary values as {"base64": "…"}.
std::string json_line(const Json& document);
/// The same, indented for people.
std::string json_text(const Json& document);
/// A value for people: strings bare, everything else as JSON. Control characters are as they are.
std::string plain_text(const Json& value);

enum class Colour { kNone, kGreen, kYellow, kRed, kMagenta };

struct Cell {
  std::string text = {};  ///< anything; it is escaped when it is printed
  Colour colour = Colour::kNone;
};

struct Column {
  std::string title = {};
  bool right = false;  ///< numbers
};

struct TableStyle {
  bool header = true;
  bool colours = false;
  std::size_t width = 0;  ///< the last column is cut so that lines are no longer; 0: nothing is cut
};

/// Columns as wide as their widest cell, two blanks apart, no blanks at line ends.
std::string table(const std::vector<Column>& columns, std::vector<std::vector<Cell>> rows,
                  const TableStyle& style);

}  // namespace bgtask::cli
