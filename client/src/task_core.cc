#include "client/src/task_core.h"

#include <unistd.h>

#include <cerrno>
#include <new>

#include "client/src/environment.h"
#include "protocol/taskdir/keys.h"
#include "protocol/wire/methods.h"
#include "protocol/wire/typed.h"

namespace bgtask {
namespace {

/// After a connection's end: its descriptors are closed one by one, so that the lock may be held a moment
/// longer, on a busy machine much longer.
constexpr Seconds kDying{2};

Json chosen(const Snapshot& snapshot, const std::vector<std::string>& members) {
  Json document = Json::object();
  for (const std::string& key : members) {
    if (std::optional<Json> member = snapshot.member(key)) document[key] = *std::move(member);
  }
  return document;
}

bool is_read_only(std::string_view method) {
  const wire::Method* known = wire::find_method(method);
  return known != nullptr && known->read_only;
}

}  // namespace

Json public_document(Json document) {
  taskdir::make_public(document);
  return document;
}

void TaskCore::assume(std::shared_ptr<const PoolDirectory> pool, const TaskDirectory& directory) {
  pool_ = std::move(pool);
  pid_ = directory.id;
  if (directory.fd) identity_ = directory.identity;
}

// Which directory it has is remembered, so that no later one of that name is taken for it. Where it cannot be
// opened just now the number must do.
void TaskCore::set_id(pid_t id) noexcept {
  pid_ = id;
  try {
    const Result<TaskDirectory> opened = open_task(*pool_, id);
    if (!opened) return;
    identity_ = opened->identity;
  } catch (const std::bad_alloc&) {
  }
}

Result<const std::filesystem::path*> TaskCore::pool_path() {
  if (pool_) return &pool_->path;
  if (!pool_path_) {
    Result<std::filesystem::path> path = taskdir::default_pool_path();
    if (!path) return fail(std::move(path).error());
    pool_path_ = std::move(*path);
  }
  return &*pool_path_;
}

Result<const PoolDirectory*> TaskCore::pool() {
  if (!pool_) {
    const Result<const std::filesystem::path*> path = pool_path();
    if (!path) return fail(Failure(path.error()));
    Result<PoolDirectory> opened = taskdir::open_pool(**path);
    if (!opened) return fail(std::move(opened).error());
    pool_path_ = opened->path;
    pool_ = std::make_shared<const PoolDirectory>(std::move(*opened));
  }
  return pool_.get();
}

Result<const TaskDirectory*> TaskCore::directory() {
  if (!directory_) {
    Result<TaskDirectory> opened = open_directory();
    if (!opened) return fail(std::move(opened).error());
    directory_ = std::move(*opened);
  }
  return &*directory_;
}

Result<TaskDirectory> TaskCore::open_directory() {
  Result<TaskDirectory> found = find();
  if (!found) return found;
  if (identity_ && *identity_ != found->identity) {
    return fail(ErrorCode::kNotFound,
                "task " + std::to_string(pid_) + " is gone; another one has its pid now");
  }
  identity_ = found->identity;
  pid_ = found->id;
  return found;
}

Result<TaskDirectory> TaskCore::find() {
  const Result<const PoolDirectory*> in = pool();
  if (!in) return fail(Failure(in.error()));
  Result<TaskDirectory> found = find_task(**in, pid_);
  if (found || found.error().code != ErrorCode::kNotFound || pid_ != ::getpid()) return found;
  Result<TaskDirectory> own = find_own_task();
  return own ? std::move(own) : std::move(found);
}

/// In its first instructions a task is not published yet as the child it is; only its supervisor knows.
Result<TaskDirectory> TaskCore::find_own_task() {
  const std::optional<pid_t> supervisor = own_task_id();
  if (!supervisor) return fail(ErrorCode::kNotFound, "not in a task");
  Result<TaskDirectory> task = open_task(*pool_, *supervisor);
  if (!task) return task;
  Result<std::unique_ptr<Connection>> connection = Connection::open(*task, deadline());
  if (!connection) return fail(std::move(connection).error());
  Json nothing = Json::object();
  const Result<Json> info =
      (*connection)->call(wire::method_name(wire::MethodId::kInfo), nothing, deadline());
  if (!info) return fail(Failure(info.error()));
  if (wire::as_pid(wire::member_in(*info, taskdir::key::kChildPid)) != pid_) {
    return fail(ErrorCode::kNotFound, "this process is not the task's child");
  }
  return task;
}

Status TaskCore::connect(Deadline until) {
  if (connection_ && !connection_->hung_up()) return {};
  connection_.reset();
  const Result<const TaskDirectory*> where = directory();
  if (!where) return fail(Failure(where.error()));
  Result<std::unique_ptr<Connection>> opened = Connection::open(**where, until);
  if (!opened) return fail(std::move(opened).error());
  connection_ = std::move(*opened);
  return {};
}

Failure TaskCore::why_closed() {
  const std::string name = "task " + std::to_string(pid_);
  Result<bool> alive = supervisor_alive(*directory_);
  if (alive && *alive) {
    if (!connection_->wait_for_exit(Deadline::after(kDying)))
      return {ErrorCode::kUnresponsive, "the supervisor of " + name + " closed the connection"};
    alive = supervisor_alive(*directory_);  // true again where somebody has adopted the task already
  }
  if (alive) return {ErrorCode::kLost, "the supervisor of " + name + " died meanwhile"};
  if (alive.error().code != ErrorCode::kNotFound) return alive.error();
  return {ErrorCode::kNotFound, name + " was deleted meanwhile"};
}

Result<Json> TaskCore::call(std::string_view method, Json params, Deadline until,
                            const Connection::EventHandler& on_event) {
  room_to_follow_ = 0;
  bool may_retry = is_read_only(method);
  Backoff backoff;
  for (;;) {
    if (Status connected = connect(deadline()); !connected) return fail(std::move(connected).error());
    connection_->give_up_on_hangup_of(until_hangup_of);
    Result<Json> reply = connection_->call(method, params, until, on_event);
    switch (connection_->state()) {
      case Connection::State::kOpen:
        return reply;
      case Connection::State::kAbandoned:
        disconnect();
        return reply;
      case Connection::State::kRefused:
        disconnect();
        if (reply.error().code != ErrorCode::kBusy || !backoff.wait(until) || until.passed()) return reply;
        break;
      case Connection::State::kClosed:
        Failure failure = why_closed();
        disconnect();
        if (failure.code != ErrorCode::kUnresponsive || !std::exchange(may_retry, false)) {
          return fail(std::move(failure));
        }
        break;
    }
  }
}

/// The failure of a call that is not tried again.
Failure TaskCore::given_up(Failure failure) {
  if (connection_->state() == Connection::State::kOpen) return failure;
  if (connection_->state() == Connection::State::kClosed) failure = why_closed();
  disconnect();
  return failure;
}

std::uint64_t TaskCore::room_to_follow() const {
  return connection_ && !connection_->hung_up() ? room_to_follow_ : 0;
}

Result<std::int64_t> TaskCore::send_write(const wire::WriteRequest& request, std::string_view data) {
  Result<std::int64_t> sent = connection_->send_write(request, data, deadline());
  return sent ? sent : fail(given_up(std::move(sent).error()));
}

Result<wire::WriteReply> TaskCore::answer(std::int64_t write) {
  Result<Json> reply = connection_->answer(write, deadline());
  if (!reply) return fail(given_up(std::move(reply).error()));
  return wire::decode<wire::WriteReply>(std::move(*reply));
}

Result<Json> TaskCore::snapshot() {
  const Result<const TaskDirectory*> where = directory();
  if (!where) return fail(Failure(where.error()));
  Result<Json> document = read_snapshot(**where);
  if (document) *document = public_document(std::move(*document));
  return document;
}

Result<Json> TaskCore::published(const std::vector<std::string>& members) {
  if (!members.empty()) {
    if (at_hand) return chosen(*at_hand, members);
    const Result<const TaskDirectory*> where = directory();
    if (!where) return fail(Failure(where.error()));
    const Result<Snapshot> read = Snapshot::read(**where);
    if (!read) return fail(Failure(read.error()));
    return chosen(*read, members);
  }
  if (!at_hand) return snapshot();
  Json document = public_document(at_hand->document());
  const bool held = directory_.has_value();
  const Result<const TaskDirectory*> where = directory();
  // Those in the document are of its last change of state: whoever has seen later ones is not given them.
  Status added = where ? add_positions(**where, document) : Status(fail(Failure(where.error())));
  if (!held) directory_.reset();  // of many tasks found, not each keeps a descriptor
  if (!added) return fail(std::move(added).error());
  return document;
}

Result<Json> TaskCore::fetch_info() {
  Result<wire::DocumentReply> reply = ask(wire::InfoRequest{});
  if (!reply && reply.error().code == ErrorCode::kLost) return snapshot();
  if (!reply) return fail(std::move(reply).error());
  Json& document = reply->document;
  if (!document.is_object())
    return fail(ErrorCode::kInvalidRequest, "the supervisor's info is not an object");
  // The task may have been adopted since it was looked up.
  pid_ = wire::as_pid(wire::member_in(document, taskdir::key::kPid)).value_or(pid_);
  return std::move(document);
}

bool TaskCore::wait_for_supervisor_exit(Seconds patience) {
  const bool gone = !connection_ || connection_->wait_for_exit(Deadline::after(patience));
  disconnect();
  return gone;
}

}  // namespace bgtask
