#include "cli/output_format.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "cli/escaping.h"

namespace bgtask::cli {
namespace {

std::string base64(const std::uint8_t* bytes, std::size_t size) {
  static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((size + 2) / 3 * 4);
  for (std::size_t i = 0; i < size; i += 3) {
    const std::size_t here = std::min<std::size_t>(3, size - i);
    std::uint32_t group = 0;
    for (std::size_t j = 0; j < 3; ++j)
      group = group << 8 | (j < here ? bytes[i + j] : 0u);
    for (std::size_t j = 0; j < 4; ++j) {
      text += j <= here ? kDigits[group >> (18 - 6 * j) & 63] : '=';
    }
  }
  return text;
}

// JSON has no bytes.
Json printable(const Json& value) {
  if (value.is_binary()) {
    const auto& bytes = value.get_binary();
    return {{"base64", base64(bytes.data(), bytes.size())}};
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
  if (is_utf8(bytes)) return std::string(bytes);
  return {{"base64", base64(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size())}};
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
