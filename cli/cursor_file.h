// A cursor kept between two uses of `logs`.
#pragma once

#include <cstdint>
#include <string>

namespace bgtask::cli {

/// The cursor in the file; 0 (the beginning) where there is no such file. \throws UsageError naming the file
std::uint64_t read_cursor_file(const std::string& path);
/// Replaces the file by rename, so that it always holds a whole cursor. \throws UsageError naming the file
void write_cursor_file(const std::string& path, std::uint64_t cursor);

}  // namespace bgtask::cli
