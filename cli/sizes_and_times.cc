#include "cli/sizes_and_times.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <limits>
#include <optional>

#include "cli/usage_error.h"

namespace bgtask::cli {
namespace {

[[noreturn]] void refuse(std::string_view text, const std::string& what) {
  throw UsageError("'" + std::string(text) + "' is not " + what);
}

// Takes "12" or "12.5" off the front; signs, exponents and "inf" are none of ours.
std::optional<double> take_number(std::string_view& text) {
  size_t length = 0;
  while (length < text.size() &&
         (std::isdigit(static_cast<unsigned char>(text[length])) || text[length] == '.')) {
    ++length;
  }
  double value = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + length, value, std::chars_format::fixed);
  if (error != std::errc() || end != text.data() + length || length == 0) return std::nullopt;
  text.remove_prefix(length);
  return value;
}

std::string_view take_letters(std::string_view& text) {
  size_t length = 0;
  while (length < text.size() && std::isalpha(static_cast<unsigned char>(text[length])))
    ++length;
  const auto letters = text.substr(0, length);
  text.remove_prefix(length);
  return letters;
}

struct Unit {
  double seconds;
  std::array<std::string_view, 5> names;
};

constexpr Unit kTimeUnits[] = {{0.001, {"ms", "msec", "millisecond", "milliseconds"}},
                               {1, {"s", "sec", "secs", "second", "seconds"}},
                               {60, {"m", "min", "mins", "minute", "minutes"}},
                               {3600, {"h", "hr", "hrs", "hour", "hours"}},
                               {86400, {"d", "day", "days"}},
                               {7 * 86400, {"w", "week", "weeks"}}};

std::optional<double> seconds_in(std::string_view name) {
  if (name.empty()) return std::nullopt;
  for (const Unit& unit : kTimeUnits) {
    if (std::find(unit.names.begin(), unit.names.end(), name) != unit.names.end()) return unit.seconds;
  }
  return std::nullopt;
}

void skip_blank(std::string_view& text) {
  if (text.starts_with(' ')) text.remove_prefix(1);
}

int size_exponent(std::string_view unit) {
  static constexpr std::string_view kLetters = "BKMGT";
  if (unit.empty()) return 0;
  const auto place = kLetters.find(static_cast<char>(std::toupper(static_cast<unsigned char>(unit[0]))));
  if (place == std::string_view::npos) return -1;
  const auto rest = unit.substr(1);
  if (place == 0) return rest.empty() ? 0 : -1;
  return rest.empty() || rest == "B" || rest == "iB" || rest == "b" ? static_cast<int>(place) : -1;
}

}  // namespace

std::uint64_t parse_count(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) refuse(text, "a whole number");
  return value;
}

std::uint64_t parse_size(std::string_view text) {
  static const std::string kWhat = "a size such as 4096, 64K or 1M";
  if (text.find_first_not_of("0123456789") == std::string_view::npos) {
    if (text.empty()) refuse(text, kWhat);
    return parse_count(text);
  }
  std::string_view rest = text;
  const auto number = take_number(rest);
  const int exponent = size_exponent(rest);
  if (!number || exponent < 0 || rest.empty()) refuse(text, kWhat);
  const double bytes = std::ldexp(*number, 10 * exponent);
  if (bytes >= std::ldexp(1.0, 63)) refuse(text, "a size that fits 63 bits");
  return static_cast<std::uint64_t>(bytes);
}

std::optional<double> read_duration(std::string_view text) {
  if (text.empty()) return std::nullopt;
  std::string_view rest = text;
  const auto plain = take_number(rest);
  if (plain && rest.empty()) return plain;
  double total = 0;
  while (!text.empty()) {
    const auto number = take_number(text);
    skip_blank(text);
    const auto unit = seconds_in(take_letters(text));
    if (!number || !unit) return std::nullopt;
    total += *number * *unit;
    if (text == " ") return std::nullopt;
    skip_blank(text);
  }
  return total;
}

double parse_duration(std::string_view text) {
  const auto seconds = read_duration(text);
  if (!seconds) refuse(text, "a length of time such as 10, 0.5, 500ms, 10m or 1h30m");
  return *seconds;
}

std::string short_duration(double seconds) {
  struct Unit {
    double length;
    char letter;
  };
  static constexpr std::array<Unit, 4> kUnits = {{{86400, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}}};
  if (!(seconds >= 1)) return "0s";
  for (const auto& unit : kUnits) {
    if (seconds >= unit.length) {
      const double count = std::min(seconds / unit.length, 1e9);
      return std::to_string(static_cast<long long>(count)) + unit.letter;
    }
  }
  return "0s";
}

std::string short_size(std::uint64_t bytes) {
  if (bytes < 1024) return std::to_string(bytes);
  static constexpr std::string_view kUnits = "KMGTPE";
  double value = static_cast<double>(bytes) / 1024;
  size_t unit = 0;
  for (; value >= 1024 && unit + 1 < kUnits.size(); ++unit)
    value /= 1024;
  char text[32];
  std::snprintf(text, sizeof text, "%.1f%c", value, kUnits[unit]);
  return text;
}

std::string local_time(double epoch_seconds) {
  static constexpr double kYear10000 = 253402300800.0;
  if (!(epoch_seconds >= 0 && epoch_seconds < kYear10000)) epoch_seconds = 0;
  const auto milliseconds = static_cast<long long>(std::floor(epoch_seconds * 1000 + 0.5));
  const std::time_t whole = milliseconds / 1000;
  std::tm parts = {};
  ::localtime_r(&whole, &parts);
  char date[48];
  std::strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &parts);
  const long east = parts.tm_gmtoff / 60;
  char text[80];
  std::snprintf(text, sizeof text, "%s.%03lld%c%02ld:%02ld", date, milliseconds % 1000, east < 0 ? '-' : '+',
                std::labs(east) / 60, std::labs(east) % 60);
  return text;
}

}  // namespace bgtask::cli
