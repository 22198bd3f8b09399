#include <bgtask/task_pool.h>
#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>
#include <string>
#include <utility>
#include <vector>

#include "client/src/throwing.h"
#include "pool/src/pool_impl.h"
#include "protocol/io/unique_fd.h"
#include "protocol/wire/codec.h"

namespace bgtask {
namespace {

// Held while it is decided whether a task is started, so that of two callers one sees the other's task. A new
// opening of the directory, because locks belong to openings.
Result<io::UniqueFd> lock_pool(const PoolDirectory& pool) {
  io::UniqueFd fd(::openat(pool.fd.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  int locked = -1;
  while (fd && (locked = ::flock(fd.get(), LOCK_EX)) != 0 && errno == EINTR) {
  }
  if (locked == 0) return fd;
  return fail_errno("cannot lock the pool " + pool.path.string(), errno, ErrorCode::kDenied);
}

std::vector<Task> tasks_named(const TaskPool& pool, const Json& name) {
  const auto bytes = wire::bytes_of(name);
  if (!bytes || wire::is_utf8(*bytes)) return pool.search(Json{{"meta", {{"name", name}}}});
  // A document carries what is not UTF-8 in another form.
  return pool.search(
      [&bytes](const Json& info) { return wire::bytes_of(info.at("meta").at("name")) == bytes; });
}

Json name_in(const SpawnOptions& options) {
  const Json name = options.meta.is_object() ? options.meta.value("name", Json(nullptr)) : Json(nullptr);
  if (name.is_null() || name == "")
    throw Error("bad_argument", "meta: a task is started once by its name, and has none");
  return name;
}

}  // namespace

StartedOnce TaskPool::start_once(const SpawnOptions& options, IfExists policy) const {
  const Json name = name_in(options);
  const io::UniqueFd lock = value_or_throw(lock_pool(*impl_->required()));
  std::vector<Task> existing = tasks_named(*this, name);
  if (policy == IfExists::kReplace) {
    for (Task& task : existing)
      task.remove();
    existing.clear();
  }
  if (existing.empty()) return {spawn(options), true, false};
  Task newest = existing.back();
  if (policy == IfExists::kFail) {
    throw Error("exists", "there is a task named " + wire::bytes_of(name).value_or(name.dump()) +
                              " already: " + std::to_string(newest.pid()));
  }
  const bool restarted = policy == IfExists::kRestart && newest.restart();
  return {std::move(newest), false, restarted};
}

}  // namespace bgtask
