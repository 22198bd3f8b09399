// Reading sizes and lengths of time, and writing them and points in time for people.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace bgtask::cli {

/// "4096", "64K", "1M", "1.5G", "1MiB": powers of 1024, a fraction allowed with a unit. \throws UsageError
std::uint64_t parse_size(std::string_view text);
/// A whole number without sign. \throws UsageError
std::uint64_t parse_count(std::string_view text);
/// "10" or "0.5" (seconds), "500ms", "10s", "10m", "2h", "1d", "1w", also in words ("2 hours"), and sums such
/// as "1h30m" or "1 hour 30 minutes". \throws UsageError
double parse_duration(std::string_view text);
/// The same; nothing where it is none.
std::optional<double> read_duration(std::string_view text);

/// "12s", "5m", "3h", "2d": one unit, rounded down. Negative lengths (the clock was set back) are "0s".
std::string short_duration(double seconds);
/// "512", "1.5K", "3.0M".
std::string short_size(std::uint64_t bytes);
/// RFC 3339 with milliseconds in the local zone: "2024-05-01T12:00:00.500+02:00".
std::string local_time(double epoch_seconds);

}  // namespace bgtask::cli
