// Names in a directory.
#pragma once

#include <string>
#include <vector>

#include "protocol/wire/result.h"

namespace bgtask::io {

/// All names in the directory `name` of `dir_fd` ("." for `dir_fd` itself) except "." and "..", unordered.
/// The descriptor may be O_PATH and is left unchanged.
Result<std::vector<std::string>> directory_names(int dir_fd, const char* name = ".");

/// The same for a directory open for reading whose position only the caller uses. Opens no descriptor,
/// because none may be left.
Result<std::vector<std::string>> own_names(int directory);

}  // namespace bgtask::io
