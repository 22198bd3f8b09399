#include "cli/table.h"

#include <algorithm>
#include <numeric>
#include <string_view>
#include <utility>

#include "cli/escaping.h"
#include "cli/text_width.h"

namespace bgtask::cli {
namespace {

constexpr std::size_t kGap = 2;

// Columns that are shown, by their index.
using Shown = std::vector<std::size_t>;

std::size_t total(const Shown& shown, const ColumnWidths& widths) {
  std::size_t sum = shown.empty() ? 0 : (shown.size() - 1) * kGap;
  for (const std::size_t column : shown)
    sum += widths[column];
  return sum;
}

// Takes from the column what is too much, down to `least`.
void shrink(std::size_t& width, std::size_t least, std::size_t& excess) {
  if (width <= least) return;
  const std::size_t taken = std::min(excess, width - least);
  width -= taken;
  excess -= taken;
}

// Widths of the columns shown if they can be had without cutting more than is allowed.
bool fits(const std::vector<Column>& columns, const Shown& shown, ColumnWidths& widths, std::size_t room) {
  const auto excess_now = [&] {
    const std::size_t sum = total(shown, widths);
    return sum > room ? sum - room : 0;
  };
  std::size_t excess = excess_now();
  for (const std::size_t column : shown) {
    if (columns[column].most > 0) shrink(widths[column], columns[column].most, excess);
  }
  if (excess > 0 && columns[shown.back()].least > 0)
    shrink(widths[shown.back()], columns[shown.back()].least, excess);
  for (const std::size_t column : shown) {
    if (columns[column].least > 0) shrink(widths[column], columns[column].least, excess);
  }
  return excess == 0;
}

// The next column to leave out; the end where all of them stay.
Shown::iterator next_dropped(const std::vector<Column>& columns, Shown& shown) {
  auto found = shown.end();
  for (auto at = shown.begin(); at != shown.end(); ++at) {
    const int dropped = columns[*at].dropped;
    if (dropped > 0 && (found == shown.end() || dropped < columns[*found].dropped)) found = at;
  }
  return found;
}

// Cuts columns from the right until the rest fits.
void squeeze(const Shown& shown, ColumnWidths& widths, std::size_t room) {
  std::size_t left = room;
  for (std::size_t i = 0; i < shown.size(); ++i) {
    const std::size_t gap = i == 0 ? 0 : kGap;
    std::size_t& width = widths[shown[i]];
    width = left > gap ? std::min(width, left - gap) : 0;
    left -= std::min(left, width + gap);
  }
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
  ColumnWidths widths;
  const TableStyle& style;
};

std::string line(const std::vector<Cell>& cells, const Layout& layout) {
  std::string out;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    if (layout.widths[i] == 0) continue;
    if (!out.empty()) out.append(kGap, ' ');
    const std::string text = cut_to_width(cells[i].text, layout.widths[i]);
    const std::size_t length = display_width(text);
    const std::string blanks(layout.widths[i] > length ? layout.widths[i] - length : 0, ' ');
    const auto code = layout.style.colours ? colour_code(cells[i].colour) : "";
    if (layout.columns[i].right) out += blanks;
    out.append(code).append(text).append(code.empty() ? "" : "\x1b[0m");
    if (!layout.columns[i].right) out += blanks;
  }
  out.erase(out.find_last_not_of(' ') + 1);
  return out + "\n";
}

ColumnWidths widest_cells(const std::vector<std::vector<Cell>>& rows, std::size_t columns) {
  ColumnWidths widest(columns);
  for (const auto& cells : rows) {
    for (std::size_t i = 0; i < cells.size(); ++i)
      widest[i] = std::max(widest[i], display_width(cells[i].text));
  }
  return widest;
}

}  // namespace

ColumnWidths fit_columns(const std::vector<Column>& columns, const ColumnWidths& widest, std::size_t room) {
  Shown shown(columns.size());
  std::iota(shown.begin(), shown.end(), std::size_t{0});
  if (room == 0 || shown.empty() || total(shown, widest) <= room) return widest;
  ColumnWidths widths = widest;
  while (!fits(columns, shown, widths, room)) {
    const auto dropped = next_dropped(columns, shown);
    if (dropped == shown.end()) {
      squeeze(shown, widths, room);
      break;
    }
    shown.erase(dropped);
    widths = widest;
  }
  ColumnWidths result(columns.size());
  for (const std::size_t column : shown)
    result[column] = widths[column];
  return result;
}

std::string table(const std::vector<Column>& columns, std::vector<std::vector<Cell>> rows,
                  const TableStyle& style) {
  for (auto& row : rows) {
    for (auto& cell : row)
      cell.text = escaped(cell.text);
  }
  if (style.header) {
    std::vector<Cell> titles;
    for (const auto& column : columns)
      titles.push_back({column.title, Colour::kNone});
    rows.insert(rows.begin(), std::move(titles));
  }
  const Layout layout{columns, fit_columns(columns, widest_cells(rows, columns.size()), style.width), style};
  std::string out;
  for (const auto& cells : rows)
    out += line(cells, layout);
  return out;
}

}  // namespace bgtask::cli
