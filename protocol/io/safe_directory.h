// Directories that no other user can have prepared.
#pragma once

#include <string>

#include "protocol/io/unique_fd.h"
#include "protocol/wire/result.h"

namespace bgtask::io {

/// `path` without trailing slashes and "/.", which would make the kernel follow a symlink in its last
/// component.
std::string directory_name(std::string path);

/// Opens the directory `path` for use as a pool. Its parents may be symlinks, it itself may not; it must
/// belong to the caller or to root (root may open anybody's, but nobody that of a user whom this user
/// namespace does not know), and neither group nor others may write to it. not_found, unsafe_pool, denied.
Result<UniqueFd> open_safe_directory(const std::string& path);

}  // namespace bgtask::io
