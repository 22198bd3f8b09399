// Columns that text takes on a terminal.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace bgtask::cli {

/// Columns of a text of one line: two for wide characters, none for combining ones. Bytes that are no UTF-8
/// count as one column each.
std::size_t display_width(std::string_view text);
/// The text cut to `width` columns, the last one being "…" where something was cut.
std::string cut_to_width(std::string_view text, std::size_t width);

}  // namespace bgtask::cli
