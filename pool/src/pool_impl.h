// What a TaskPool holds.
#pragma once

#include <bgtask/task_pool.h>

#include <memory>

#include "client/src/task_directory.h"

namespace bgtask {

struct TaskPool::Impl {
  std::shared_ptr<const PoolDirectory> directory;
  PoolOptions options;
};

}  // namespace bgtask
