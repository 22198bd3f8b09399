// A cursor kept between two uses of `logs`.
#pragma once

#include <bgtask/task.h>

#include <cstdint>
#include <optional>
#include <string>

namespace bgtask::cli {

/// Where to go on reading.
struct CursorMark {
  std::uint64_t cursor = 0;
  std::optional<OutputOffsets> offsets = {};  ///< of the cursor, where they are known
};

/// What is in the file: a cursor, and its offsets in a second line; the beginning where there is no such
/// file. \throws UsageError naming the file
CursorMark read_cursor_file(const std::string& path);
/// Replaces the file by rename, so that it always holds a whole cursor. \throws UsageError naming the file
void write_cursor_file(const std::string& path, const CursorMark& mark);

}  // namespace bgtask::cli
