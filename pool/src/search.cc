#include <bgtask/task_pool.h>
#include <cxxabi.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <optional>
#include <string>
#include <tuple>
#include <utility>

#include "client/src/snapshot.h"
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

double start_of(const Snapshot& snapshot) {
  const std::optional<Json> found = snapshot.member("started_at");
  return found && found->is_number() ? found->get<double>() : 0;
}

// One walk through a pool.
class Search {
 public:
  using Test = std::function<Result<bool>(const TaskDirectory&, const Snapshot&)>;

  Search(std::shared_ptr<const PoolDirectory> pool, Test test, std::vector<SkippedEntry>* skipped)
      : pool_(std::move(pool)), test_(std::move(test)), skipped_(skipped) {}

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
    tasks.reserve(found_.size());
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
    if (!done && !is_user_pool(*pool_, id)) skip(std::to_string(id), std::move(done.error()));
  }

  // Adds the task if it matches.
  Status take(pid_t id) {
    Result<TaskDirectory> task = open_task(*pool_, id);
    if (!task) return fail(std::move(task.error()));
    Result<Snapshot> snapshot = Snapshot::read(*task);
    if (!snapshot) return fail(std::move(snapshot.error()));
    Result<bool> matches = test_(*task, *snapshot);
    if (!matches) return fail(std::move(matches.error()));
    if (!*matches) return {};
    const double started_at = start_of(*snapshot);
    found_.push_back(Found{started_at, id, TaskAccess::make(pool_, *task, *std::move(snapshot))});
    return {};
  }

  bool is_published(pid_t id) const {
    struct stat st {};
    Result<TaskDirectory> task = open_task(*pool_, id);
    return task && ::fstatat(task->fd.get(), "status", &st, AT_SYMLINK_NOFOLLOW) == 0;
  }

  void skip(const std::string& name, Failure reason) {
    if (is_own_shortage(reason.code)) throw_failure(std::move(reason));
    if (skipped_ != nullptr) skipped_->push_back(SkippedEntry{name, to_error(std::move(reason))});
  }

  std::shared_ptr<const PoolDirectory> pool_;
  Test test_;
  std::vector<SkippedEntry>* skipped_;
  std::vector<Found> found_;
};

// For those who look at the whole document, stream positions of this moment included.
Search::Test whole_document(const Predicate& predicate) {
  return [&predicate](const TaskDirectory& task, const Snapshot& snapshot) -> Result<bool> {
    Json document = snapshot.document();
    if (Status done = add_positions(task, document); !done) return fail(std::move(done.error()));
    return holds(predicate, document);
  };
}

// Parses only the members that the pattern names.
Search::Test by_members(const Json& pattern) {
  return [&pattern](const TaskDirectory&, const Snapshot& snapshot) -> Result<bool> {
    for (const auto& [key, wanted] : pattern.items()) {
      const std::optional<Json> member = snapshot.member(key);
      if (!member || !matches(wanted, *member)) return false;
    }
    return true;
  };
}

}  // namespace

std::vector<Task> TaskPool::search(const Json& pattern, std::vector<SkippedEntry>* skipped) const {
  if (pattern.is_object() && !mentions_streams(pattern))
    return Search(impl_->directory, by_members(pattern), skipped).run();
  Predicate matching = [&pattern](const Json& info) { return matches(pattern, info); };
  return Search(impl_->directory, whole_document(matching), skipped).run();
}

std::vector<Task> TaskPool::search(
    std::initializer_list<Json::initializer_list_t::value_type> pattern) const {
  return search(Json(pattern));
}

std::vector<Task> TaskPool::search(const std::function<bool(const Json& info)>& predicate,
                                   std::vector<SkippedEntry>* skipped) const {
  return Search(impl_->directory, whole_document(predicate), skipped).run();
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
