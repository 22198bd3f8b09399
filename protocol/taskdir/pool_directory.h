// A pool as a reader sees it that trusts nobody: opened by descriptor, no symbolic links, owner checked.
#pragma once

#include <sys/types.h>

#include <filesystem>

#include "protocol/io/unique_fd.h"
#include "protocol/wire/result.h"

namespace bgtask::taskdir {

/// An open pool. Tasks in it belong to the directory's owner, or to root.
struct PoolDirectory {
  io::UniqueFd fd;
  std::filesystem::path path;  // absolute
  uid_t owner = 0;
};

/// Opens and checks a pool: not_found, unsafe_pool (symbolic link, no directory, owner neither the caller nor
/// root — root may open anybody's —, writable by group or others), denied.
Result<PoolDirectory> open_pool(const std::filesystem::path& path);

/// `path` made absolute, without what would make the kernel follow a symbolic link in its last component.
std::filesystem::path absolute_pool_path(const std::filesystem::path& path);

/// The path of the default pool, absolute. Creates nothing. not_found says how to get one.
Result<std::filesystem::path> default_pool_path();

}  // namespace bgtask::taskdir
