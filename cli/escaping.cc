#include "cli/escaping.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <utility>

namespace bgtask::cli {
namespace {

enum class Decoded { kValid, kInvalid, kIncomplete };

struct CodePoint {
  Decoded state = Decoded::kInvalid;
  std::uint32_t value = 0;
  std::size_t length = 1;
};

bool is_continuation(char c) {
  return (static_cast<unsigned char>(c) & 0xc0) == 0x80;
}

bool is_acceptable(std::uint32_t value, std::size_t length) {
  static constexpr std::uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = value >= 0xd800 && value <= 0xdfff;
  return value >= kSmallest[length] && value <= 0x10ffff && !surrogate;
}

// Decodes the code point at the front of a text that is not empty.
CodePoint decode(std::string_view text) {
  const auto first = static_cast<unsigned char>(text[0]);
  if (first < 0x80) return {Decoded::kValid, first, 1};
  if (first < 0xc2 || first > 0xf4) return {};
  const std::size_t length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  std::uint32_t value = first & (0xffu >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    if (i == text.size()) return {Decoded::kIncomplete, 0, text.size()};
    if (!is_continuation(text[i])) return {};
    value = value << 6 | (static_cast<unsigned char>(text[i]) & 0x3fu);
  }
  if (!is_acceptable(value, length)) return {};
  return {Decoded::kValid, value, length};
}

// Controls, and what changes the direction or the lines of the text around it.
bool is_harmful(std::uint32_t c) {
  return c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == 0x061c || (c >= 0x200b && c <= 0x200f) ||
         (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0xfeff;
}

std::string visible_byte(unsigned char byte) {
  char text[8];
  std::snprintf(text, sizeof text, "\\x%02x", byte);
  return text;
}

std::string visible(std::uint32_t c) {
  if (c == '\n') return "\\n";
  if (c == '\t') return "\\t";
  if (c == '\r') return "\\r";
  if (c == 0x1b) return "\\e";
  if (c < 0x80) return visible_byte(static_cast<unsigned char>(c));
  char text[16];
  std::snprintf(text, sizeof text, "\\u{%x}", c);
  return text;
}

void append_visible(std::string& out, std::string_view text, const CodePoint& at) {
  if (at.state != Decoded::kValid) {
    out += visible_byte(static_cast<unsigned char>(text[0]));
  } else if (is_harmful(at.value)) {
    out += visible(at.value);
  } else {
    out += text.substr(0, at.length);
  }
}

constexpr std::size_t kLongestColour = 64;

// Length of the colour sequence at the front ("\e[1;31m"); 0 if it is another sequence, npos if it is cut
// off.
std::size_t colour_length(std::string_view text) {
  if (text.size() == 1) return std::string_view::npos;
  if (text[1] != '[') return 0;
  const auto end = text.find_first_not_of("0123456789;:", 2);
  if (end == std::string_view::npos) return text.size() < kLongestColour ? end : 0;
  return text[end] == 'm' ? end + 1 : 0;
}

}  // namespace

std::string escaped(std::string_view text) {
  const auto is_plain = [](char c) { return c >= 0x20 && c < 0x7f; };
  if (std::all_of(text.begin(), text.end(), is_plain)) return std::string(text);
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const CodePoint at = decode(text);
    append_visible(out, text, at);
    text.remove_prefix(at.state == Decoded::kValid ? at.length : 1);
  }
  return out;
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const CodePoint at = decode(text);
    if (at.state != Decoded::kValid) return false;
    text.remove_prefix(at.length);
  }
  return true;
}

std::size_t display_width(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return !is_continuation(c); }));
}

std::string cut_to_width(std::string_view text, std::size_t width) {
  if (display_width(text) <= width) return std::string(text);
  if (width == 0) return "";
  std::size_t end = 0;
  for (std::size_t columns = 0; end < text.size(); ++end) {
    if (!is_continuation(text[end]) && ++columns == width) break;
  }
  return std::string(text.substr(0, end)) + "…";
}

std::string TerminalFilter::feed(std::string_view piece) {
  const std::string all = std::exchange(pending_, {}).append(piece);
  std::string_view rest = all;
  std::string out;
  out.reserve(all.size());
  while (!rest.empty()) {
    const CodePoint at = decode(rest);
    std::size_t length = at.state == Decoded::kValid ? at.length : 1;
    const std::size_t colour = rest[0] == '\x1b' ? colour_length(rest) : 0;
    if (at.state == Decoded::kIncomplete || colour == std::string_view::npos) {
      pending_ = rest;
      break;
    }
    if (colour > 0) {
      out += rest.substr(0, length = colour);
      coloured_ = true;
    } else if (rest[0] == '\n' || rest[0] == '\t') {
      out += rest[0];
    } else {
      append_visible(out, rest, at);
    }
    rest.remove_prefix(length);
  }
  return out;
}

std::string TerminalFilter::finish() {
  std::string out = escaped(std::exchange(pending_, {}));
  if (std::exchange(coloured_, false)) out += "\x1b[0m";
  return out;
}

}  // namespace bgtask::cli
