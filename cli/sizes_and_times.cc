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

std::optional<double> seconds_in(std::string_view unit) {
  if (unit == "ms") return 0.001;
  if (unit == "s" || unit == "sec") return 1;
  if (unit == "m" || unit == "min") return 60;
  if (unit == "h") return 3600;
  if (unit == "d") return 86400;
  if (unit == "w") return 7 * 86400;
  return std::nullopt;
}

std::optional<double> duration(std::string_view text) {
  if (text.empty()) return std::nullopt;
  std::string_view rest = text;
  const auto plain = take_number(rest);
  if (plain && rest.empty()) return plain;
  double total = 0;
  while (!text.empty()) {
    const auto number = take_number(text);
    const auto unit = seconds_in(take_letters(text));
    if (!number || !unit) return std::nullopt;
    total += *number * *unit;
  }
  return total;
}

// Reads exactly `digits` digits at the front, then `after` (if not 0).
std::optional<int> take_field(std::string_view& text, size_t digits, char after) {
  if (text.size() < digits) return std::nullopt;
  int value = 0;
  for (size_t i = 0; i < digits; ++i) {
    if (!std::isdigit(static_cast<unsigned char>(text[i]))) return std::nullopt;
    value = value * 10 + (text[i] - '0');
  }
  text.remove_prefix(digits);
  if (after == 0) return value;
  if (text.empty() || text.front() != after) return std::nullopt;
  text.remove_prefix(1);
  return value;
}

// Seconds east of UTC at the end of the text; nothing in `zone` is local time.
struct Zone {
  bool given = false;
  int east = 0;
};

std::optional<Zone> take_zone(std::string_view text) {
  if (text.empty()) return Zone{};
  if (text == "Z" || text == "z") return Zone{true, 0};
  const char sign = text.front();
  if (sign != '+' && sign != '-') return std::nullopt;
  text.remove_prefix(1);
  const bool colon = text.size() == 5;
  const auto hours = take_field(text, 2, colon ? ':' : '\0');
  const auto minutes = take_field(text, 2, 0);
  if (!hours || !minutes || !text.empty() || *hours > 23 || *minutes > 59) return std::nullopt;
  const int east = (*hours * 60 + *minutes) * 60;
  return Zone{true, sign == '-' ? -east : east};
}

bool take_date(std::string_view& text, std::tm& parts) {
  const auto year = take_field(text, 4, '-');
  const auto month = year ? take_field(text, 2, '-') : std::nullopt;
  const auto day = month ? take_field(text, 2, 0) : std::nullopt;
  if (!day || *month < 1 || *month > 12 || *day < 1 || *day > 31) return false;
  parts.tm_year = *year - 1900;
  parts.tm_mon = *month - 1;
  parts.tm_mday = *day;
  return true;
}

bool take_clock(std::string_view& text, std::tm& parts, double& fraction) {
  const auto hour = take_field(text, 2, ':');
  const auto minute = hour ? take_field(text, 2, 0) : std::nullopt;
  if (!minute || *hour > 23 || *minute > 59) return false;
  parts.tm_hour = *hour;
  parts.tm_min = *minute;
  if (text.empty() || text.front() != ':') return true;
  text.remove_prefix(1);
  const auto second = take_field(text, 2, 0);
  if (!second || *second > 60) return false;
  parts.tm_sec = *second;
  if (text.empty() || text.front() != '.') return true;
  std::string digits = "0";
  for (digits += '.', text.remove_prefix(1);
       !text.empty() && std::isdigit(static_cast<unsigned char>(text[0])); text.remove_prefix(1)) {
    digits += text[0];
  }
  std::from_chars(digits.data(), digits.data() + digits.size(), fraction);
  return digits.size() > 2;
}

std::optional<double> calendar_time(std::string_view text) {
  std::tm parts = {};
  double fraction = 0;
  if (!take_date(text, parts)) return std::nullopt;
  if (!text.empty() && (text[0] == 'T' || text[0] == 't' || text[0] == ' ')) {
    text.remove_prefix(1);
    if (!take_clock(text, parts, fraction)) return std::nullopt;
  }
  const auto zone = take_zone(text);
  if (!zone) return std::nullopt;
  if (zone->given) return static_cast<double>(::timegm(&parts)) - zone->east + fraction;
  parts.tm_isdst = -1;
  return static_cast<double>(std::mktime(&parts)) + fraction;
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

double parse_duration(std::string_view text) {
  const auto seconds = duration(text);
  if (!seconds) refuse(text, "a length of time such as 10, 0.5, 500ms, 10m or 1h30m");
  return *seconds;
}

double parse_time(std::string_view text, double now) {
  if (text == "now") return now;
  std::string_view rest = text;
  const auto epoch = take_number(rest);
  if (epoch && rest.empty()) return *epoch;
  if (const auto calendar = calendar_time(text)) return *calendar;
  if (const auto before = duration(text)) return now - *before;
  refuse(text, "a time such as 10m (ago), 2024-05-01T10:00:00Z or 1714557600");
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
