#include <bgtask/task_pool.h>
#include <cxxabi.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <new>
#include <optional>
#include <string>
#include <tuple>
#include <utility>

#include "client/src/task_access.h"
#include "client/src/task_directory.h"
#include "client/src/throwing.h"
#include "pool/src/crew.h"
#include "pool/src/match.h"
#include "pool/src/pool_impl.h"
#include "protocol/taskdir/names.h"

namespace bgtask {
namespace {

using Predicate = std::function<bool(const Json&)>;

enum class Looking { kAlone, kTogether };

struct Found {
  double started_at;
  pid_t id;
  Task task;
};

bool holds(const Predicate& predicate, const Json& info) {
  try {
    return predicate(info);
  } catch (const abi::__forced_unwind&) {  // the thread is being cancelled
    throw;
  } catch (...) {
    return false;
  }
}

// One walk through a pool.
class Search {
 public:
  using Test = std::function<Result<bool>(const TaskDirectory&, const Snapshot&)>;

  Search(std::shared_ptr<const PoolDirectory> pool, Test test, std::vector<SkippedEntry>* skipped)
      : pool_(std::move(pool)), test_(std::move(test)), skipped_(skipped) {}

  std::vector<Task> run(Looking how) {
    std::vector<std::string> strange;
    const std::vector<pid_t> ids = value_or_throw(list_ids(*pool_, &strange));
    if (how == Looking::kAlone || !look_together(ids)) look_alone(ids);
    for (const std::string& name : strange)
      skip(name, {ErrorCode::kNotFound, "'" + name + "' is not a task"});
    return oldest_first();
  }

 private:
  using Look = Result<std::optional<Found>>;  // nothing: no task, or none that matches

  void look_alone(const std::vector<pid_t>& ids) {
    for (const pid_t id : ids)
      take(id, examine(id));
  }

  // False if somebody ran out of something: one of several may, and be misled by it, where one alone has
  // enough.
  bool look_together(const std::vector<pid_t>& ids) {
    std::vector<Look> looks(ids.size());
    try {
      share_out(ids.size(), [&](std::size_t i) { looks[i] = examine(ids[i]); });
    } catch (const std::bad_alloc&) {
      return false;
    }
    const auto ran_short = [](const Look& look) { return !look && is_own_shortage(look.error().code); };
    if (std::any_of(looks.begin(), looks.end(), ran_short)) return false;
    for (std::size_t i = 0; i < ids.size(); ++i)
      take(ids[i], std::move(looks[i]));
    return true;
  }

  Look examine(pid_t id) const {
    Look seen = look_at(id);
    // "Not found" is what is just being made or removed: no task, and no fault. But what is published must be
    // there as a whole, unless that has just happened.
    if (!seen && seen.error().code == ErrorCode::kNotFound) {
      const Result<bool> published = is_published(id);
      if (!published) return fail(Failure(published.error()));
      if (!*published) return std::nullopt;
      seen = look_at(id);
    }
    if (!seen && is_user_pool(*pool_, id)) return std::nullopt;
    return seen;
  }

  Look look_at(pid_t id) const {
    Result<TaskDirectory> task = open_task(*pool_, id);
    if (!task) return fail(std::move(task.error()));
    Result<Snapshot> snapshot = Snapshot::read(*task);
    if (!snapshot) return fail(std::move(snapshot.error()));
    Result<bool> matches = test_(*task, *snapshot);
    if (!matches) return fail(std::move(matches.error()));
    if (!*matches) return std::nullopt;
    const double started_at = snapshot->started_at();
    return Found{started_at, id, TaskAccess::make(pool_, *task, *std::move(snapshot))};
  }

  Result<bool> is_published(pid_t id) const {
    struct stat st {};
    Result<TaskDirectory> task = open_task(*pool_, id);
    if (!task && is_own_shortage(task.error().code)) return fail(std::move(task).error());
    return task && ::fstatat(task->fd.get(), taskdir::kStatus, &st, AT_SYMLINK_NOFOLLOW) == 0;
  }

  void take(pid_t id, Look look) {
    if (!look) return skip(std::to_string(id), std::move(look.error()));
    if (*look) found_.push_back(**std::move(look));
  }

  void skip(const std::string& name, Failure reason) {
    // The entry is not to blame: a search that runs out of something must not call tasks unreadable.
    if (is_own_shortage(reason.code)) throw_failure(std::move(reason));
    if (skipped_ != nullptr) skipped_->push_back(SkippedEntry{name, to_error(std::move(reason))});
  }

  std::vector<Task> oldest_first() {
    std::sort(found_.begin(), found_.end(), [](const Found& a, const Found& b) {
      return std::tie(a.started_at, a.id) < std::tie(b.started_at, b.id);
    });
    std::vector<Task> tasks;
    tasks.reserve(found_.size());
    for (Found& one : found_)
      tasks.push_back(std::move(one.task));
    return tasks;
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
  const std::shared_ptr<const PoolDirectory> pool = impl_->if_there();
  if (!pool) return {};
  if (pattern.is_object() && !mentions_streams(pattern))
    return Search(pool, by_members(pattern), skipped).run(Looking::kTogether);
  Predicate matching = [&pattern](const Json& info) { return matches(pattern, info); };
  return Search(pool, whole_document(matching), skipped).run(Looking::kAlone);
}

std::vector<Task> TaskPool::search(
    std::initializer_list<Json::initializer_list_t::value_type> pattern) const {
  return search(Json(pattern));
}

std::vector<Task> TaskPool::search(const std::function<bool(const Json& info)>& predicate,
                                   std::vector<SkippedEntry>* skipped) const {
  const std::shared_ptr<const PoolDirectory> pool = impl_->if_there();
  if (!pool) return {};
  return Search(pool, whole_document(predicate), skipped).run(Looking::kAlone);
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
