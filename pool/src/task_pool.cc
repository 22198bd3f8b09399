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
#include "protocol/taskdir/default_pool.h"
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

Result<std::shared_ptr<const PoolDirectory>> TaskPool::Impl::open() const {
  const std::lock_guard lock(mutex_);
  if (directory_) return directory_;
  Result<PoolDirectory> opened = taskdir::open_pool(path_);
  if (!opened) {
    Failure failure = std::move(opened).error();
    if (failure.code == ErrorCode::kNotFound && !remedy_.empty()) failure.message = remedy_;
    return fail(std::move(failure));
  }
  directory_ = std::make_shared<const PoolDirectory>(std::move(*opened));
  return directory_;
}

std::shared_ptr<const PoolDirectory> TaskPool::Impl::required() const {
  return value_or_throw(open());
}

std::shared_ptr<const PoolDirectory> TaskPool::Impl::if_there() const {
  Result<std::shared_ptr<const PoolDirectory>> opened = open();
  if (!opened && opened.error().code == ErrorCode::kNotFound) return nullptr;
  return value_or_throw(std::move(opened));
}

TaskPool::TaskPool(std::filesystem::path path, PoolOptions options) {
  if (options.mkdir_if_missing) value_or_throw(make_pool_directory(path, *options.mkdir_if_missing));
  if (path.empty()) throw Error("bad_argument", "the path of the pool is empty");
  impl_ = std::make_shared<const Impl>(taskdir::absolute_pool_path(path), std::move(options), "");
  impl_->if_there();
}

TaskPool TaskPool::default_pool(PoolOptions options) {
  taskdir::DefaultPool found = taskdir::default_pool();
  const std::optional<MkdirIfMissing> how = options.mkdir_if_missing ? std::nullopt : default_pool_mode();
  if (how) {
    Status made = make_pool_directory(found.path, *how);
    // Without the directory above it the pool is missing, which spawn() tells.
    if (!made && made.error().code != ErrorCode::kNotFound) throw_failure(std::move(made).error());
  }
  TaskPool pool(taskdir::absolute_pool_path(found.path), std::move(options));
  if (!found.remedy.empty())
    pool.impl_ = std::make_shared<const Impl>(pool.path(), pool.impl_->options(), std::move(found.remedy));
  return pool;
}

Task TaskPool::spawn(const SpawnOptions& options) const {
  wire::LaunchSpec spec = value_or_throw(spawn_request(options, path()));
  return launched(impl_->required(), impl_->options(), spec);
}

void TaskPool::exec_supervisor(const SpawnOptions& options, const InPlaceOptions& in_place) const {
  SpawnOptions foreground = options;
  foreground.behavior = Behavior::kForeground;
  wire::LaunchSpec spec = value_or_throw(spawn_request(foreground, path()));
  spec.in_place = wire::InPlaceSpec{in_place.forward_output, in_place.end_with_command};
  const std::shared_ptr<const PoolDirectory> pool = impl_->required();
  const PoolOptions& how = impl_->options();
  throw to_error(become_supervisor(spec, {pool->fd.get(), how.supervisor_command, how.supervisor_env}));
}

std::optional<Task> TaskPool::task(pid_t pid) const {
  const std::shared_ptr<const PoolDirectory> pool = impl_->if_there();
  if (!pool) return std::nullopt;
  Result<TaskDirectory> found = find_task(*pool, pid);
  if (found) return TaskAccess::make(pool, *found);
  if (found.error().code == ErrorCode::kNotFound) return std::nullopt;
  throw to_error(std::move(found.error()));
}

const std::filesystem::path& TaskPool::path() const noexcept {
  return impl_->path();
}

std::filesystem::path TaskPool::socket_path(pid_t pid) const {
  return path() / std::to_string(pid) / taskdir::kControlSocket;
}

Task TaskPool::adopt(pid_t pid) const {
  TaskDirectory found = value_or_throw(find_task(*impl_->required(), pid));
  if (value_or_throw(supervisor_alive(found))) {
    throw Error("running", "task " + std::to_string(found.id) + " has a supervisor: nothing to adopt");
  }
  wire::LaunchSpec spec;
  spec.adopt = found.id;
  spec.pool_path = path().string();
  return launched(impl_->required(), impl_->options(), spec);
}

std::vector<pid_t> TaskPool::gc() const {
  const std::shared_ptr<const PoolDirectory> pool = impl_->if_there();
  return pool ? value_or_throw(collect_garbage(*pool)) : std::vector<pid_t>();
}

Task spawn(const SpawnOptions& options) {
  return TaskPool::default_pool().spawn(options);
}

}  // namespace bgtask
