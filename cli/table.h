// Tables for people: columns by display width, fitted into a terminal.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace bgtask::cli {

enum class Colour { kNone, kGreen, kYellow, kRed, kMagenta };

struct Cell {
  std::string text = {};  ///< anything; it is escaped when it is printed
  Colour colour = Colour::kNone;
};

struct Column {
  std::string title = {};
  bool right = false;     ///< numbers
  std::size_t least = 0;  ///< may be cut to this width where there is no room; 0: is never cut
  std::size_t most = 0;   ///< where there is no room this width is enough; 0: no such limit
  int dropped = 0;        ///< columns are left out for want of room, 1 first; 0: this one stays
};

/// Width of each column; of one that is left out nothing.
using ColumnWidths = std::vector<std::size_t>;

/// Fits columns with these widest cells into `room` terminal columns (0: no limit), with two blanks between
/// them. In this order, as far as needed: columns with `most` are cut to it, the last column gets what is
/// left down to its `least`, the others are cut down to their `least`, columns are left out, all are cut.
ColumnWidths fit_columns(const std::vector<Column>& columns, const ColumnWidths& widest, std::size_t room);

struct TableStyle {
  bool header = true;
  bool colours = false;
  std::size_t width = 0;  ///< no line is longer; 0: nothing is cut
};

/// Columns two blanks apart, no blanks at line ends.
std::string table(const std::vector<Column>& columns, std::vector<std::vector<Cell>> rows,
                  const TableStyle& style);

}  // namespace bgtask::cli
