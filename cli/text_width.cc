#include "cli/text_width.h"

#include <utf8proc.h>

#include <algorithm>

namespace bgtask::cli {
namespace {

struct Character {
  std::size_t length;  // bytes
  std::size_t columns;
};

// utf8proc has no width for code points that are not assigned or private: terminals show one column.
std::size_t columns_of(utf8proc_int32_t code_point) {
  const auto category = utf8proc_category(code_point);
  const bool unknown = category == UTF8PROC_CATEGORY_CN || category == UTF8PROC_CATEGORY_CO;
  const auto width = static_cast<std::size_t>(std::max(0, utf8proc_charwidth(code_point)));
  return unknown ? std::max<std::size_t>(width, 1) : width;
}

// The character at the front of a text that is not empty.
Character front(std::string_view text) {
  if (static_cast<unsigned char>(text[0]) < 0x80) return {1, 1};
  utf8proc_int32_t code_point = -1;
  const auto length = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                       static_cast<utf8proc_ssize_t>(text.size()), &code_point);
  if (length <= 0) return {1, 1};
  return {static_cast<std::size_t>(length), columns_of(code_point)};
}

// Length in bytes of the longest beginning that takes at most `width` columns.
std::size_t fitting(std::string_view text, std::size_t width) {
  std::size_t end = 0;
  for (std::size_t columns = 0; end < text.size();) {
    const Character next = front(text.substr(end));
    columns += next.columns;
    if (columns > width) break;
    end += next.length;
  }
  return end;
}

}  // namespace

std::size_t display_width(std::string_view text) {
  std::size_t columns = 0;
  while (!text.empty()) {
    const Character next = front(text);
    columns += next.columns;
    text.remove_prefix(next.length);
  }
  return columns;
}

std::string cut_to_width(std::string_view text, std::size_t width) {
  if (fitting(text, width) == text.size()) return std::string(text);
  if (width == 0) return "";
  return std::string(text.substr(0, fitting(text, width - 1))) + "…";
}

}  // namespace bgtask::cli
