#include <bgtask/task_pool.h>
#include <cxxabi.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <string>
#include <tuple>
#include <utility>

#include "client/src/task_access.h"
#include "client/src/task_directory.h"
#include "client/src/throwing.h"
#include "pool/src/match.h"
#include "pool/src/pool_impl.h"

namespace bgtask {
namespace {

using Predicate = std::function<bool(const Json&)>;

struct Found {
  double started_at;
  pid_t id;
  Task task;
};

// What the entry is not to blame for: a search that runs out of something must not call tasks unreadable.
bool is_own_shortage(ErrorCode code) {
  return code == ErrorCode::kTooManyFiles || code == ErrorCode::kNoMemory;
}

bool holds(const Predicate& predicate, const Json& info) {
  try {
    return predicate(info);
  } catch (const abi::__forced_unwind&) {  // the thread is being cancelled
    throw;
  } catch (...) {
    return false;
  }
}

double start_of(const Json& info) {
  auto found = info.find("started_at");
  return found != info.end() && found->is_number() ? found->get<double>() : 0;
}

// One walk through a pool.
class Search {
 public:
  // `with_streams`: the predicate needs stream positions.
  Search(std::shared_ptr<const PoolDirectory> pool, const Predicate& predicate, bool with_streams,
         std::vector<SkippedEntry>* skipped)
      : pool_(std::move(pool)), predicate_(predicate), with_streams_(with_streams), skipped_(skipped) {}

  std::vector<Task> run() {
    std::vector<std::string> strange;
    for (pid_t id : value_or_throw(list_ids(*pool_, &strange)))
      examine(id);
    for (const std::string& name : strange)
      skip(name, {ErrorCode::kNotFound, "'" + name + "' is not a task"});
    std::sort(found_.begin(), found_.end(), [](const Found& a, const Found& b) {
      return std::tie(a.started_at, a.id) < std::tie(b.started_at, b.id);
    });
    std::vector<Task> tasks;
    for (Found& one : found_)
      tasks.push_back(std::move(one.task));
    return tasks;
  }

 private:
  void examine(pid_t id) {
    Status done = take(id);
    // "Not found" is what is just being made or removed: no task, and no fault. But what is published must be
    // there as a whole, unless that has just happened.
    if (!done && done.error().code == ErrorCode::kNotFound) {
      if (!is_published(id)) return;
      done = take(id);
    }
    if (!done) skip(std::to_string(id), std::move(done.error()));
  }

  // Adds the task if it matches.
  Status take(pid_t id) {
    Result<TaskDirectory> task = open_task(*pool_, id);
    if (!task) return fail(std::move(task.error()));
    Result<Json> info = matching_info(*task);
    if (!info) return fail(std::move(info.error()));
    if (!info->is_null()) keep(*task, *std::move(info));
    return {};
  }

  bool is_published(pid_t id) const {
    struct stat st {};
    Result<TaskDirectory> task = open_task(*pool_, id);
    return task && ::fstatat(task->fd.get(), "status", &st, AT_SYMLINK_NOFOLLOW) == 0;
  }

  // Null where it does not match. Positions are read for those that match only; they may have changed
  // meanwhile.
  Result<Json> matching_info(const TaskDirectory& task) const {
    Result<Json> info = read_snapshot(task, with_streams_);
    if (!info) return info;
    if (!holds(predicate_, *info)) return Json(nullptr);
    if (with_streams_) return info;
    info = read_snapshot(task, true);
    if (info && !holds(predicate_, *info)) return Json(nullptr);
    return info;
  }

  void keep(const TaskDirectory& task, Json info) {
    double started_at = start_of(info);
    found_.push_back(Found{started_at, task.id, TaskAccess::make(pool_, task, std::move(info))});
  }

  void skip(const std::string& name, Failure reason) {
    if (is_own_shortage(reason.code)) throw_failure(std::move(reason));
    if (skipped_ != nullptr) skipped_->push_back(SkippedEntry{name, to_error(std::move(reason))});
  }

  std::shared_ptr<const PoolDirectory> pool_;
  const Predicate& predicate_;
  bool with_streams_;
  std::vector<SkippedEntry>* skipped_;
  std::vector<Found> found_;
};

}  // namespace

std::vector<Task> TaskPool::search(const Json& pattern, std::vector<SkippedEntry>* skipped) const {
  Predicate matching = [&pattern](const Json& info) { return matches(pattern, info); };
  // An empty pattern matches everything: then each entry is read once, and with its positions.
  bool with_streams = pattern.empty() || mentions_streams(pattern);
  return Search(impl_->directory, matching, with_streams, skipped).run();
}

std::vector<Task> TaskPool::search(
    std::initializer_list<Json::initializer_list_t::value_type> pattern) const {
  return search(Json(pattern));
}

std::vector<Task> TaskPool::search(const std::function<bool(const Json& info)>& predicate,
                                   std::vector<SkippedEntry>* skipped) const {
  return Search(impl_->directory, predicate, true, skipped).run();
}

std::vector<Task> search(const Json& pattern) {
  return TaskPool::default_pool().search(pattern);
}

std::vector<Task> search(std::initializer_list<Json::initializer_list_t::value_type> pattern) {
  return TaskPool::default_pool().search(Json(pattern));
}

std::vector<Task> search(const std::function<bool(const Json& info)>& predicate) {
  return TaskPool::default_pool().search(predicate);
}

}  // namespace bgtask
