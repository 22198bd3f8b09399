#include "protocol/taskdir/pool_listing.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <utility>

#include "protocol/io/directory_names.h"
#include "protocol/io/files.h"
#include "protocol/taskdir/keys.h"
#include "protocol/taskdir/names.h"
#include "protocol/taskdir/snapshot.h"
#include "protocol/wire/codec.h"
#include "protocol/wire/limits.h"
#include "protocol/wire/typed.h"

namespace bgtask::taskdir {
namespace {

bool contains(const std::vector<pid_t>& pids, pid_t pid) {
  return std::find(pids.begin(), pids.end(), pid) != pids.end();
}

bool is_child(const Snapshot& snapshot, pid_t pid) {
  if (snapshot.child_pid() != pid) return false;
  const Result<std::optional<bool>> alive = snapshot.child_alive();
  return alive && *alive == true;
}

/// The name of the directory in the pool that has this inode; "" where there is none. Only own shortages are
/// failures.
Result<std::string> name_of_inode(const PoolDirectory& pool, ino_t inode) {
  const int fd = ::openat(pool.fd.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* listing = fd >= 0 ? ::fdopendir(fd) : nullptr;
  if (listing == nullptr) {
    const Failure failure = fail_errno("cannot list the pool " + pool.path.string(), errno).value();
    if (fd >= 0) ::close(fd);
    if (is_own_shortage(failure.code)) return fail(Failure(failure));
    return std::string();
  }
  std::string name;
  while (const dirent* entry = ::readdir(listing)) {
    if (entry->d_ino == inode) {
      name = entry->d_name;
      break;
    }
  }
  ::closedir(listing);
  return name;
}

/// The inode alone does not tell: a file system may give that of a removed directory to the next one.
bool was_task(const TaskDirectory& directory, pid_t id) {
  const Result<std::string> text =
      io::read_file(directory.fd.get(), kStatus, kMaxStatusFile, &directory.owner);
  if (!text) return false;
  const Result<Json> published = wire::decode_json(*text, wire::reply_limits());
  if (!published) return false;
  // An adopter renames the directory first, and publishes then.
  return wire::as_pid(wire::member_in(*published, key::kPid)) == id ||
         contains(decode_pids(wire::member_in(*published, key::kFormerPids)), id);
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
    const Result<Snapshot> snapshot = Snapshot::read(*task);
    if (!snapshot) continue;
    if (is_child(*snapshot, pid)) return task;
    if (!adopted && contains(snapshot->former_pids(), pid)) adopted = std::move(*task);
  }
  if (adopted) return std::move(*adopted);
  if (is_user_pool(pool, pid)) {
    return fail(ErrorCode::kNotFound,
                "there is no task " + std::to_string(pid) + " in " + pool.path.string());
  }
  return by_name;
}

Result<std::optional<TaskDirectory>> find_renamed(const PoolDirectory& pool, pid_t id,
                                                  std::pair<dev_t, ino_t> identity) {
  const Result<std::string> name = name_of_inode(pool, identity.second);
  if (!name) return fail(Failure(name.error()));
  const std::optional<pid_t> present = task_id(*name);
  if (!present || *present == id) return std::nullopt;
  Result<TaskDirectory> task = open_task(pool, *present);
  if (!task && is_own_shortage(task.error().code)) return fail(std::move(task).error());
  if (!task || task->identity != identity || !was_task(*task, id)) return std::nullopt;
  return std::optional(std::move(*task));
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
