#include "protocol/taskdir/pool_listing.h"

#include <algorithm>
#include <optional>

#include "protocol/io/directory_names.h"
#include "protocol/taskdir/liveness.h"
#include "protocol/taskdir/names.h"
#include "protocol/taskdir/snapshot.h"

namespace bgtask::taskdir {
namespace {

bool is_former_pid(const Json& snapshot, pid_t pid) {
  const auto former = snapshot.find("former_pids");
  return former != snapshot.end() && former->is_array() &&
         std::find(former->begin(), former->end(), Json(pid)) != former->end();
}

bool is_child(const Json& snapshot, pid_t pid) {
  const auto child = snapshot.find("child_pid");
  if (child == snapshot.end() || *child != pid) return false;
  const Result<std::optional<bool>> alive = child_alive(snapshot);
  return alive && *alive == true;
}

}  // namespace

Result<std::vector<pid_t>> list_ids(const PoolDirectory& pool, std::vector<std::string>* strange) {
  const Result<std::vector<std::string>> names = io::directory_names(pool.fd.get());
  if (!names) {
    return fail_errno("cannot list the pool " + pool.path.string(), names.error().os_error,
                      ErrorCode::kDenied);
  }
  std::vector<pid_t> ids;
  for (const std::string& name : *names) {
    if (is_hidden(name)) continue;
    if (const std::optional<pid_t> id = task_id(name)) {
      ids.push_back(*id);
    } else if (strange != nullptr) {
      strange->emplace_back(name);
    }
  }
  std::sort(ids.begin(), ids.end());
  return ids;
}

Result<TaskDirectory> find_task(const PoolDirectory& pool, pid_t pid) {
  Result<TaskDirectory> by_name = open_task(pool, pid);
  if (by_name) return by_name;
  Result<std::vector<pid_t>> ids = list_ids(pool);
  if (!ids) return fail(std::move(ids).error());
  std::optional<TaskDirectory> adopted;
  for (const pid_t id : *ids) {
    Result<TaskDirectory> task = open_task(pool, id);
    if (!task) continue;
    const Result<Json> snapshot = read_snapshot(*task, false);
    if (!snapshot) continue;
    if (is_child(*snapshot, pid)) return task;
    if (!adopted && is_former_pid(*snapshot, pid)) adopted = std::move(*task);
  }
  if (adopted) return std::move(*adopted);
  if (is_user_pool(pool, pid)) {
    return fail(ErrorCode::kNotFound,
                "there is no task " + std::to_string(pid) + " in " + pool.path.string());
  }
  return by_name;
}

HiddenNames list_hidden(const PoolDirectory& pool) {
  HiddenNames hidden;
  for (std::string& name : io::directory_names(pool.fd.get()).value_or(std::vector<std::string>())) {
    if (name.starts_with(kUnpublishedPrefix))
      hidden.unpublished.push_back(std::move(name));
    else if (name.starts_with(kWithdrawnPrefix))
      hidden.withdrawn.push_back(std::move(name));
  }
  return hidden;
}

}  // namespace bgtask::taskdir
