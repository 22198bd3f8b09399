#include "cli/escaping.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <utility>

#include "protocol/wire/utf8.h"

namespace bgtask::cli {
namespace {

using wire::CodePoint;
using wire::Decoded;

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
    const CodePoint at = wire::decode_utf8(text);
    append_visible(out, text, at);
    text.remove_prefix(at.state == Decoded::kValid ? at.length : 1);
  }
  return out;
}

std::string TerminalFilter::feed(std::string_view piece) {
  const std::string all = std::exchange(pending_, {}).append(piece);
  std::string_view rest = all;
  std::string out;
  out.reserve(all.size());
  while (!rest.empty()) {
    const CodePoint at = wire::decode_utf8(rest);
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
