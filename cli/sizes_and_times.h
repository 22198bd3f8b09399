// Reading sizes, lengths of time and points in time, and writing them for people.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace bgtask::cli {

/// "4096", "64K", "1M", "1.5G", "1MiB": powers of 1024, a fraction allowed with a unit. \throws UsageError
std::uint64_t parse_size(std::string_view text);
/// A whole number without sign. \throws UsageError
std::uint64_t parse_count(std::string_view text);
/// "10" or "0.5" (seconds), "500ms", "10s", "10m", "2h", "1d", "1w", and sums such as "1h30m". \throws
/// UsageError
double parse_duration(std::string_view text);
/// A point in time in seconds since the epoch: a number is that, "2024-05-01T10:00:00.5Z" or with "+02:00"
/// RFC 3339 (local time where the zone is absent; a blank for the T; the date alone), "10m" so long before
/// `now`, "now". \throws UsageError
double parse_time(std::string_view text, double now);

/// "12s", "5m", "3h", "2d": one unit, rounded down. Negative lengths (the clock was set back) are "0s".
std::string short_duration(double seconds);
/// "512", "1.5K", "3.0M".
std::string short_size(std::uint64_t bytes);
/// RFC 3339 with milliseconds in the local zone: "2024-05-01T12:00:00.500+02:00".
std::string local_time(double epoch_seconds);

}  // namespace bgtask::cli
