#include "cli/points_in_time.h"

#include <cctype>
#include <charconv>
#include <optional>
#include <string>

#include "cli/sizes_and_times.h"
#include "cli/usage_error.h"

namespace bgtask::cli {
namespace {

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

// Seconds east of UTC at the end of the text; not given is local time.
struct Offset {
  bool given = false;
  int east = 0;
};

std::optional<Offset> take_offset(std::string_view text) {
  if (text.empty()) return Offset{};
  if (text == "Z" || text == "z") return Offset{true, 0};
  const char sign = text.front();
  if (sign != '+' && sign != '-') return std::nullopt;
  text.remove_prefix(1);
  const bool colon = text.size() == 5;
  const auto hours = take_field(text, 2, colon ? ':' : '\0');
  const auto minutes = take_field(text, 2, 0);
  if (!hours || !minutes || !text.empty() || *hours > 23 || *minutes > 59) return std::nullopt;
  const int east = (*hours * 60 + *minutes) * 60;
  return Offset{true, sign == '-' ? -east : east};
}

int days_in_month(int year, int month) {
  static constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  return month == 2 && leap ? 29 : kDays[month - 1];
}

bool take_date(std::string_view& text, std::tm& parts) {
  const auto year = take_field(text, 4, '-');
  const auto month = year ? take_field(text, 2, '-') : std::nullopt;
  const auto day = month ? take_field(text, 2, 0) : std::nullopt;
  if (!day || *month < 1 || *month > 12 || *day < 1 || *day > days_in_month(*year, *month)) return false;
  parts.tm_year = *year - 1900;
  parts.tm_mon = *month - 1;
  parts.tm_mday = *day;
  return true;
}

bool take_fraction(std::string_view& text, double& fraction) {
  std::string digits = "0.";
  for (text.remove_prefix(1); !text.empty() && std::isdigit(static_cast<unsigned char>(text[0]));
       text.remove_prefix(1)) {
    digits += text[0];
  }
  std::from_chars(digits.data(), digits.data() + digits.size(), fraction);
  return digits.size() > 2;
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
  return text.empty() || text.front() != '.' || take_fraction(text, fraction);
}

std::optional<double> calendar_time(std::string_view text, const Zone& zone) {
  std::tm parts = {};
  double fraction = 0;
  if (!take_date(text, parts)) return std::nullopt;
  if (!text.empty() && (text[0] == 'T' || text[0] == 't' || text[0] == ' ')) {
    text.remove_prefix(1);
    if (!take_clock(text, parts, fraction)) return std::nullopt;
  }
  const auto offset = take_offset(text);
  if (!offset) return std::nullopt;
  if (offset->given) return static_cast<double>(::timegm(&parts)) - offset->east + fraction;
  return static_cast<double>(zone.epoch(parts)) + fraction;
}

// "today", "yesterday 09:30", "14:00".
std::optional<double> day_and_clock(std::string_view text, double now, const Zone& zone) {
  struct Day {
    std::string_view word;
    int days;
  };
  static constexpr Day kDays[] = {{"today", 0}, {"yesterday", -1}, {"tomorrow", 1}};
  std::tm parts = zone.parts(static_cast<std::time_t>(now));
  parts.tm_hour = parts.tm_min = parts.tm_sec = 0;
  bool day_given = false;
  for (const Day& day : kDays) {
    if (!text.starts_with(day.word)) continue;
    text.remove_prefix(day.word.size());
    parts.tm_mday += day.days;
    day_given = true;
    break;
  }
  double fraction = 0;
  if (day_given && !text.empty()) {
    if (text[0] != ' ') return std::nullopt;
    text.remove_prefix(1);
    day_given = false;  // then the time must follow
  }
  if (!day_given && (!take_clock(text, parts, fraction) || !text.empty())) return std::nullopt;
  return static_cast<double>(zone.epoch(parts)) + fraction;
}

// "10m", "-10m", "+10m", "10 minutes ago" as seconds to add.
std::optional<double> distance(std::string_view text) {
  static constexpr std::string_view kAgo = " ago";
  const bool ago = text.ends_with(kAgo);
  if (ago) text.remove_suffix(kAgo.size());
  const bool sign = !text.empty() && (text[0] == '-' || text[0] == '+');
  if (ago && sign) return std::nullopt;
  const bool after = sign && text[0] == '+';
  if (sign) text.remove_prefix(1);
  const auto length = read_duration(text);
  if (!length) return std::nullopt;
  return after ? *length : -*length;
}

std::optional<double> epoch_seconds(std::string_view text) {
  if (text.starts_with('@')) text.remove_prefix(1);
  if (text.empty() || text.find_first_not_of("0123456789.") != std::string_view::npos) return std::nullopt;
  return read_duration(text);
}

}  // namespace

Zone local_zone() {
  return {[](std::time_t epoch) {
            std::tm parts = {};
            ::localtime_r(&epoch, &parts);
            return parts;
          },
          [](std::tm parts) {
            parts.tm_isdst = -1;
            return std::mktime(&parts);
          }};
}

double parse_time(std::string_view text, double now, const Zone& zone) {
  if (text == "now") return now;
  if (const auto epoch = epoch_seconds(text)) return *epoch;
  if (const auto calendar = calendar_time(text, zone)) return *calendar;
  if (const auto clock = day_and_clock(text, now, zone)) return *clock;
  if (const auto seconds = distance(text)) return now + *seconds;
  throw UsageError("'" + std::string(text) +
                   "' is not a time such as 14:00, yesterday, '1 hour ago', -10m, 2024-05-01T10:00:00Z or "
                   "1714557600");
}

double parse_time(std::string_view text, double now) {
  return parse_time(text, now, local_zone());
}

}  // namespace bgtask::cli
