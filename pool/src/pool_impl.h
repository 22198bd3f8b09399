// What a TaskPool holds.
#pragma once

#include <bgtask/task_pool.h>

#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "client/src/task_directory.h"
#include "protocol/wire/result.h"

namespace bgtask {

/// A pool that is missing is opened again at each use: somebody may have made it meanwhile.
struct TaskPool::Impl {
 public:
  /// `remedy`: what to say where the pool is missing; "" for the kernel's word.
  Impl(std::filesystem::path path, PoolOptions options, std::string remedy)
      : path_(std::move(path)), options_(std::move(options)), remedy_(std::move(remedy)) {}

  /// not_found where the pool is missing.
  Result<std::shared_ptr<const PoolDirectory>> open() const;
  /// Throws what open() says.
  std::shared_ptr<const PoolDirectory> required() const;
  /// Null where the pool is missing; throws other failures.
  std::shared_ptr<const PoolDirectory> if_there() const;

  const std::filesystem::path& path() const { return path_; }
  const PoolOptions& options() const { return options_; }

 private:
  std::filesystem::path path_;  // absolute
  PoolOptions options_;
  std::string remedy_;
  mutable std::mutex mutex_;  // of directory_: copies of a TaskPool may be used from several threads
  mutable std::shared_ptr<const PoolDirectory> directory_;
};

}  // namespace bgtask
