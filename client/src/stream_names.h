// The names of streams as people give them.
#pragma once

#include <optional>
#include <string_view>

namespace bgtask {

inline constexpr int kStdin = 0;
inline constexpr int kStdout = 1;
inline constexpr int kStderr = 2;
inline constexpr int kData = 3;

/// 0 stdin, 1 stdout, 2 stderr, 3 data; "out" and "err" are understood.
std::optional<int> stream_by_name(std::string_view name);

}  // namespace bgtask
