#include "cli/session.h"

#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "cli/usage_error.h"

namespace bgtask::cli {

const TaskPool& Session::open(const PoolOptions& options) {
  if (!pool_) pool_ = path_ ? TaskPool(*path_, options) : TaskPool::default_pool(options);
  return *pool_;
}

const TaskPool& Session::pool() {
  return open({});
}

const TaskPool* Session::pool_if_there() {
  try {
    const TaskPool& opened = pool();
    std::error_code unknown;
    if (!std::filesystem::exists(opened.path(), unknown) && !unknown)
      why_missing_ = "there is no pool " + opened.path().string();
    return &opened;
  } catch (const Error& error) {
    if (error.code() != "not_found") throw;
    why_missing_ = error.what();
    return nullptr;
  }
}

const TaskPool& Session::pool_made_if_missing() {
  return open({.mkdir_if_missing = MkdirIfMissing{}});
}

bool Session::inside_task() {
  const char* pid = std::getenv("BGTASK_PID");
  return pid != nullptr && *pid != '\0';
}

Task Session::own_task() const {
  if (!inside_task())
    throw UsageError("this is not the inside of a task ($BGTASK_PID is not set): name a task");
  return Task::self();
}

}  // namespace bgtask::cli
