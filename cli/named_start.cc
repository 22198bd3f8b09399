#include "cli/named_start.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "cli/console.h"
#include "cli/task_table.h"
#include "cli/usage_error.h"

namespace bgtask::cli {

NamedStartLock::NamedStartLock(const TaskPool& pool)
    : fd_(::open(pool.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
  int locked = -1;
  while (fd_ >= 0 && (locked = ::flock(fd_, LOCK_EX)) != 0 && errno == EINTR) {
  }
  if (locked == 0) return;
  const int error = errno;
  if (fd_ >= 0) ::close(fd_);
  throw UsageError("cannot lock " + pool.path().string() + ": " + std::strerror(error));
}

NamedStartLock::~NamedStartLock() {
  ::close(fd_);
}

std::optional<Task> settle_existing(const TaskPool& pool, const std::string& name,
                                    const std::string& policy) {
  auto existing = pool.search([&](const Json& info) { return task_name(info) == name; });
  if (existing.empty()) return std::nullopt;
  Task newest = existing.back();
  if (policy == "fail") {
    throw UsageError("run: there is a task named " + name + " already: " + std::to_string(newest.pid()));
  }
  if (policy == "replace") {
    for (Task& task : existing)
      task.remove();
    return std::nullopt;
  }
  if (policy == "restart" && !newest.restart())
    say(std::to_string(newest.pid()) + " is still running, nothing done");
  return newest;
}

}  // namespace bgtask::cli
