// What is in a directory.
#pragma once

#include <string>
#include <vector>

#include "protocol/wire/result.h"

namespace bgtask::io {

/// All names in the directory `name` of `dir_fd` ("." is that one itself) but "." and "..", in no order. The
/// descriptor may be O_PATH, and is left as it was.
Result<std::vector<std::string>> directory_names(int dir_fd, const char* name = ".");

}  // namespace bgtask::io
