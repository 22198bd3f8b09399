// What is in a directory.
#pragma once

#include <string>
#include <vector>

#include "protocol/wire/result.h"

namespace bgtask::io {

/// All names in the directory `name` of `dir_fd` ("." is that one itself) but "." and "..", in no order. The
/// descriptor may be O_PATH, and is left as it was.
Result<std::vector<std::string>> directory_names(int dir_fd, const char* name = ".");

/// The same of a directory open for reading, whose position is the caller's alone. Takes no descriptor: there
/// may be none left.
Result<std::vector<std::string>> own_names(int directory);

}  // namespace bgtask::io
