#include <bgtask/task_pool.h>

#include <string>
#include <utility>

#include "client/src/task_access.h"
#include "client/src/task_directory.h"
#include "client/src/throwing.h"
#include "pool/src/failed_start.h"
#include "pool/src/gc.h"
#include "pool/src/launcher.h"
#include "pool/src/pool_directory.h"
#include "pool/src/pool_impl.h"
#include "pool/src/spawn_request.h"
#include "protocol/taskdir/names.h"

namespace bgtask {
namespace {

Task launched(const std::shared_ptr<const PoolDirectory>& pool, const PoolOptions& options,
              const wire::LaunchSpec& spec) {
  LaunchSettings settings{pool->fd.get(), options.supervisor_command, options.supervisor_env};
  // Made before the start: after it nothing may fail any more, for the task runs.
  Task task = TaskAccess::make(pool, TaskDirectory());
  const uint64_t since = start_ticks_now();
  Result<pid_t> started = launch(spec, settings);
  // A task that was to be adopted stays what it was.
  if (!started && !spec.adopt && started.error().data.contains("supervisor_pid"))
    clean_up_failed_start(*pool, {started.error().data["supervisor_pid"].get<pid_t>(), spec, since});
  TaskAccess::set_id(task, value_or_throw(std::move(started)));
  return task;
}

}  // namespace

TaskPool::TaskPool(std::filesystem::path path, PoolOptions options) {
  if (options.mkdir_if_missing) value_or_throw(make_pool_directory(path, *options.mkdir_if_missing));
  auto directory = std::make_shared<const PoolDirectory>(value_or_throw(taskdir::open_pool(path)));
  impl_ = std::make_shared<const Impl>(Impl{std::move(directory), std::move(options)});
}

TaskPool TaskPool::default_pool(PoolOptions options) {
  std::filesystem::path path = value_or_throw(taskdir::default_pool_path());
  if (!options.mkdir_if_missing) options.mkdir_if_missing = default_pool_mode();
  return TaskPool(std::move(path), std::move(options));
}

Task TaskPool::spawn(const SpawnOptions& options) const {
  wire::LaunchSpec spec = value_or_throw(spawn_request(options, path()));
  return launched(impl_->directory, impl_->options, spec);
}

void TaskPool::exec_supervisor(const SpawnOptions& options, const InPlaceOptions& in_place) const {
  SpawnOptions foreground = options;
  foreground.behavior = Behavior::kForeground;
  wire::LaunchSpec spec = value_or_throw(spawn_request(foreground, path()));
  spec.in_place = wire::InPlaceSpec{in_place.forward_output, in_place.end_with_command};
  throw to_error(become_supervisor(
      spec, {impl_->directory->fd.get(), impl_->options.supervisor_command, impl_->options.supervisor_env}));
}

std::optional<Task> TaskPool::task(pid_t pid) const {
  Result<TaskDirectory> found = find_task(*impl_->directory, pid);
  if (found) return TaskAccess::make(impl_->directory, *found);
  if (found.error().code == ErrorCode::kNotFound) return std::nullopt;
  throw to_error(std::move(found.error()));
}

const std::filesystem::path& TaskPool::path() const noexcept {
  return impl_->directory->path;
}

std::filesystem::path TaskPool::socket_path(pid_t pid) const {
  return path() / std::to_string(pid) / taskdir::kControlSocket;
}

Task TaskPool::adopt(pid_t pid) const {
  TaskDirectory found = value_or_throw(find_task(*impl_->directory, pid));
  if (value_or_throw(supervisor_alive(found))) {
    throw Error("running", "task " + std::to_string(found.id) + " has a supervisor: nothing to adopt");
  }
  wire::LaunchSpec spec;
  spec.adopt = found.id;
  spec.pool_path = path().string();
  return launched(impl_->directory, impl_->options, spec);
}

std::vector<pid_t> TaskPool::gc() const {
  return value_or_throw(collect_garbage(*impl_->directory));
}

Task spawn(const SpawnOptions& options) {
  return TaskPool::default_pool().spawn(options);
}

}  // namespace bgtask
