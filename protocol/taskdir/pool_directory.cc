#include "protocol/taskdir/pool_directory.h"

#include <sys/stat.h>

#include <cerrno>
#include <string>
#include <utility>

#include "protocol/io/safe_directory.h"
#include "protocol/taskdir/default_pool.h"

namespace bgtask::taskdir {

std::filesystem::path absolute_pool_path(const std::filesystem::path& path) {
  std::error_code unknown_cwd;  // then the relative path is as good as any
  return io::directory_name(
      path.is_absolute() ? path.string() : (std::filesystem::current_path(unknown_cwd) / path).string());
}

Result<PoolDirectory> open_pool(const std::filesystem::path& path) {
  if (path.empty()) return fail(ErrorCode::kBadArgument, "the path of the pool is empty");
  PoolDirectory pool;
  pool.path = absolute_pool_path(path);
  Result<io::UniqueFd> fd = io::open_safe_directory(pool.path.string());
  if (!fd) return fail(std::move(fd).error());
  pool.fd = std::move(*fd);
  struct stat info {};
  if (::fstat(pool.fd.get(), &info) != 0)
    return fail_errno("cannot examine the pool " + pool.path.string(), errno);
  pool.owner = info.st_uid;
  return pool;
}

Result<std::filesystem::path> default_pool_path() {
  DefaultPool pool = default_pool();
  struct stat info {};
  if (!pool.remedy.empty() && ::lstat(pool.path.c_str(), &info) != 0)
    return fail(ErrorCode::kNotFound, std::move(pool.remedy));
  return absolute_pool_path(pool.path);
}

}  // namespace bgtask::taskdir
