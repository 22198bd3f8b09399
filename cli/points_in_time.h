// Reading points in time.
#pragma once

#include <ctime>
#include <string_view>

namespace bgtask::cli {

/// Calendar time of a place, from and to seconds since the epoch.
struct Zone {
  /// Year, month, day, hour, minute and second in this zone.
  std::tm (*parts)(std::time_t epoch);
  /// The opposite; fields out of their range carry over (day 0 is the last of the month before). A time that
  /// is skipped when clocks go forward is taken for the time that much later, one that occurs twice for
  /// either.
  std::time_t (*epoch)(std::tm parts);
};

/// The zone of this process ($TZ, else the system's).
Zone local_zone();

/// A point in time, in seconds since the epoch:
/// - `1714557600`, `@1714557600.5`: that;
/// - `2024-05-01T10:00:00.5Z`, `2024-05-01 12:00+02:00`: RFC 3339; without a zone local time; the date alone
/// is midnight;
/// - `14:00`, `14:00:05`: of today; `today`, `yesterday`, `tomorrow`, alone (midnight) or with such a time;
/// `now`;
/// - `10m`, `10m ago`, `-10m`, `1 hour 30 minutes ago`: so long before `now`; `+10m`: after it.
/// \throws UsageError for anything else
double parse_time(std::string_view text, double now, const Zone& zone);
/// The same in the zone of this process.
double parse_time(std::string_view text, double now);

}  // namespace bgtask::cli
