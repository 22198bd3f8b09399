#include "cli/output_format.h"

#include <algorithm>
#include <utility>

#include "cli/escaping.h"
#include "protocol/wire/codec.h"

namespace bgtask::cli {
namespace {

// JSON has no bytes.
Json printable(const Json& value) {
  if (value.is_binary()) {
    return {{"base64", wire::base64_encode(wire::raw_bytes(value))}};
  }
  if (value.is_string()) return bytes_as_json(value.get_ref<const std::string&>());
  Json copy = value;
  if (value.is_structured()) {
    for (auto& [key, member] : copy.items())
      member = printable(member);
  }
  return copy;
}

std::string_view colour_code(Colour colour) {
  switch (colour) {
    case Colour::kGreen:
      return "\x1b[32m";
    case Colour::kYellow:
      return "\x1b[33m";
    case Colour::kRed:
      return "\x1b[31m";
    case Colour::kMagenta:
      return "\x1b[35m";
    case Colour::kNone:
      break;
  }
  return "";
}

struct Layout {
  const std::vector<Column>& columns;
  std::vector<std::size_t> widths;
  const TableStyle& style;
};

std::string line(const std::vector<Cell>& cells, const Layout& layout) {
  std::string out;
  std::size_t used = 0;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const bool last = i + 1 == cells.size();
    std::string text = cells[i].text;
    if (last && layout.style.width > 0) {
      text = cut_to_width(text, layout.style.width > used ? layout.style.width - used : 1);
    }
    const std::size_t length = display_width(text);
    const std::string blanks(layout.widths[i] > length ? layout.widths[i] - length : 0, ' ');
    const auto code = layout.style.colours ? colour_code(cells[i].colour) : "";
    if (layout.columns[i].right) out += blanks;
    out.append(code).append(text).append(code.empty() ? "" : "\x1b[0m");
    if (last) break;
    if (!layout.columns[i].right) out += blanks;
    out += "  ";
    used += std::max(length, layout.widths[i]) + 2;
  }
  out.erase(out.find_last_not_of(' ') + 1);
  return out + "\n";
}

}  // namespace

Json bytes_as_json(std::string_view bytes) {
  if (wire::is_utf8(bytes)) return std::string(bytes);
  return {{"base64", wire::base64_encode(bytes)}};
}

std::string json_line(const Json& document) {
  return printable(document).dump(-1, ' ', true, Json::error_handler_t::replace);
}

std::string json_text(const Json& document) {
  return printable(document).dump(2, ' ', true, Json::error_handler_t::replace);
}

std::string plain_text(const Json& value) {
  return value.is_string() ? value.get<std::string>() : json_line(value);
}

std::string table(const std::vector<Column>& columns, std::vector<std::vector<Cell>> rows,
                  const TableStyle& style) {
  for (auto& row : rows) {
    for (auto& cell : row)
      cell.text = escaped(cell.text);
  }
  std::vector<Cell> titles;
  for (const auto& column : columns)
    titles.push_back({column.title, Colour::kNone});
  if (style.header) rows.insert(rows.begin(), std::move(titles));
  Layout layout{columns, std::vector<std::size_t>(columns.size()), style};
  for (const auto& cells : rows) {
    for (std::size_t i = 0; i < cells.size(); ++i) {
      layout.widths[i] = std::max(layout.widths[i], display_width(cells[i].text));
    }
  }
  std::string out;
  for (const auto& cells : rows)
    out += line(cells, layout);
  return out;
}

}  // namespace bgtask::cli
