#include <bgtask/task.h>
#include <fcntl.h>

#include <cerrno>
#include <string>
#include <utility>

#include "client/src/dead_task.h"
#include "client/src/environment.h"
#include "client/src/following.h"
#include "client/src/output.h"
#include "client/src/replies.h"
#include "client/src/ring_reading.h"
#include "client/src/stream_names.h"
#include "client/src/task_core.h"
#include "client/src/throwing.h"
#include "client/src/waiting.h"
#include "protocol/wire/messages.h"
#include "protocol/wire/signals.h"

namespace bgtask {
namespace {

/// After which the supervisor gives up an exec.
constexpr Seconds kExecTime{20};
/// Of a stop, where neither the request nor the task says; that of a delete is shorter.
constexpr Seconds kDefaultGrace{10};
/// Its files are gone by then. On a starved machine a supervisor may not have its turn for seconds.
constexpr Seconds kPatienceAfterDelete{15};
/// More collected output than any ring of a sane size holds: then somebody plays with us.
constexpr std::uint64_t kMaxCollected = std::uint64_t{1} << 30;

/// For the stop that a request with this grace, or none, begins.
Deadline stop_deadline(TaskCore& task, std::optional<double> grace) {
  if (grace) return task.deadline(Seconds(*grace));
  const Result<Json> published = task.published({"stop_grace"});
  if (!published || !published->is_object() || !published->contains("stop_grace"))
    return task.deadline(kDefaultGrace);
  const Json& own = published->at("stop_grace");
  return task.deadline(own.is_number() ? Seconds(own.get<double>()) : kDefaultGrace);
}

/// Some methods take time of their own.
Deadline deadline_for(TaskCore& task, std::string_view method, const Json& params) {
  if (method == wire::method_name(wire::MethodId::kDelete))
    return stop_deadline(task, wire::decode<wire::DeleteRequest>(params).grace);
  if (method == wire::method_name(wire::MethodId::kStop))
    return stop_deadline(task, wire::decode<wire::StopRequest>(params).grace);
  if (method == wire::method_name(wire::MethodId::kRestart)) return task.deadline(kExecTime);
  if (method != wire::method_name(wire::MethodId::kWait)) return task.deadline();
  const auto timeout = wire::decode<wire::WaitRequest>(params).timeout;
  return timeout ? task.deadline(Seconds(*timeout)) : Deadline::never();
}

wire::SignalScope wire_scope(Scope scope) {
  switch (scope) {
    case Scope::kProcess:
      return wire::SignalScope::kProcess;
    case Scope::kGroup:
      return wire::SignalScope::kGroup;
    case Scope::kTree:
      break;
  }
  return wire::SignalScope::kTree;
}

wire::Signal wire_signal(const Signal& signal) {
  const Json value = std::visit([](const auto& name_or_number) { return Json(name_or_number); }, signal);
  const std::optional<int> number = wire::signal_number(value);
  if (!number) throw_failure(wire::wrong_type("signal", wire::ParamType::kSignal).value());
  return {*number};
}

/// Collects the output that a delete sends before its reply.
Connection::EventHandler collector(std::vector<OutputChunk>& chunks) {
  return [&chunks, bytes = std::uint64_t{0}](Json params) mutable -> Status {
    if (wire::event_kind(params) != wire::OutputEvent::kKind) return {};
    for (OutputChunk& chunk : to_output(wire::decode<wire::OutputEvent>(std::move(params))).chunks) {
      bytes += sizeof(OutputChunk) + chunk.data.size();
      chunks.push_back(std::move(chunk));
    }
    if (bytes > kMaxCollected) return fail(ErrorCode::kFrameTooLarge, "the output to collect does not end");
    return {};
  };
}

Result<std::vector<OutputChunk>> collect_from_rings(const TaskDirectory& directory) {
  const Result<OutputRings> rings = open_output(directory);
  if (rings) return unconsumed_output(*rings);
  if (rings.error().code == ErrorCode::kNotFound) return std::vector<OutputChunk>();  // they were in memory
  return fail(Failure(rings.error()));
}

/// Without a supervisor: what it would have done, where nothing is left to be stopped.
Result<RemoveReceipt> remove_lost(TaskCore& task, bool collect) {
  const Result<const TaskDirectory*> directory = task.directory();
  if (!directory) return fail(Failure(directory.error()));
  const Result<const PoolDirectory*> pool = task.pool();
  if (!pool) return fail(Failure(pool.error()));
  RemoveReceipt receipt;
  if (collect) {
    Result<std::vector<OutputChunk>> output = collect_from_rings(**directory);
    if (!output) return fail(std::move(output).error());
    receipt.output = std::move(*output);
  }
  TaskDirectory doomed{io::UniqueFd(::fcntl((*directory)->fd.get(), F_DUPFD_CLOEXEC, 0)), (*directory)->id,
                       (*directory)->owner, (*directory)->identity};
  if (!doomed.fd) return fail_errno("cannot remove the task", errno);
  if (Status removed = remove_dead_task(**pool, std::move(doomed)); !removed)
    return fail(std::move(removed).error());
  return receipt;
}

}  // namespace

Task::Task(pid_t pid) : impl_(std::make_shared<Stream::Impl>(pid)) {}
Task::Task(pid_t pid, std::filesystem::path pool_path)
    : impl_(std::make_shared<Stream::Impl>(pid, std::move(pool_path))) {}

Task Task::self() {
  const std::optional<pid_t> id = own_task_id();
  if (!id) throw Error("not_found", "this process does not run in a task: BGTASK_PID is not set");
  return Task(*id);  // BGTASK_POOL is where the default pool is looked for first
}

pid_t Task::pid() const noexcept {
  return impl_->pid();
}
const std::filesystem::path& Task::pool_path() const {
  return *value_or_throw(impl_->pool_path());
}

void Task::set_timeout(Seconds timeout) {
  if (!(timeout >= Seconds::zero())) throw Error("bad_argument", "timeout: must not be negative");
  impl_->set_timeout(timeout);
}
Seconds Task::timeout() const noexcept {
  return impl_->timeout();
}

bool Task::connect() {
  value_or_throw(impl_->connect(impl_->deadline()));
  return true;
}

bool Task::connect(Error& reason) {
  Status connected = impl_->connect(impl_->deadline());
  reason = connected ? Error() : to_error(std::move(connected).error());
  return reason.code().empty();
}

void Task::disconnect() noexcept {
  impl_->disconnect();
}

const Json& Task::info(bool fresh) {
  if (fresh || !impl_->cached_info) {
    const bool known = !fresh && impl_->at_hand;
    impl_->cached_info = value_or_throw(known ? impl_->published({}) : impl_->fetch_info());
  }
  return *impl_->cached_info;
}

Json Task::published(const std::vector<std::string>& members) const {
  return value_or_throw(impl_->published(members));
}

Json Task::snapshot() const {
  return value_or_throw(impl_->snapshot());
}

Json Task::call(std::string_view method, Json params) {
  const Deadline until = deadline_for(*impl_, method, params);
  Json result = value_or_throw(impl_->call(method, std::move(params), until));
  if (method == wire::method_name(wire::MethodId::kRead) ||
      method == wire::method_name(wire::MethodId::kOutput))
    show_text(result);
  return result;
}

Json Task::apply_meta(const Json& meta) {
  wire::ApplyMetaRequest request{meta.is_string() ? Json{{"note", meta}} : meta};
  return value_or_throw(impl_->ask(std::move(request))).document;
}

Json Task::apply_meta(std::initializer_list<Json::initializer_list_t::value_type> meta) {
  return apply_meta(Json(meta));
}

std::uint64_t Task::kill(const Signal& signal, Scope scope) {
  return value_or_throw(impl_->ask(wire::KillRequest{wire_signal(signal), wire_scope(scope)})).signalled;
}

std::uint64_t Task::pause(bool pause) {
  return value_or_throw(impl_->ask(wire::PauseRequest{pause})).signalled;
}

bool Task::restart(const RestartOptions& options) {
  return value_or_throw(impl_->ask(wire::RestartRequest{options.force}, impl_->deadline(kExecTime)))
      .restarted;
}

StopReceipt Task::stop(const StopOptions& options) {
  wire::StopRequest request;
  if (options.grace) request.grace = options.grace->count();
  if (options.signal) request.signal = wire_signal(*options.signal);
  const Deadline until = stop_deadline(*impl_, request.grace);
  Result<wire::Receipt> reply = impl_->ask(request, until);
  if (!reply && reply.error().code == ErrorCode::kUnknownMethod) {
    throw Error("version_mismatch",
                "task " + std::to_string(impl_->pid()) +
                    ": its supervisor is older and has no 'stop'; send a signal to its tree "
                    "instead (kill with scope tree)");
  }
  return to_stop_receipt(value_or_throw(std::move(reply)));
}

RemoveReceipt Task::remove(const RemoveOptions& options) {
  std::vector<OutputChunk> output;
  wire::DeleteRequest request{.collect = options.collect};
  if (options.grace) request.grace = options.grace->count();
  const Deadline until = stop_deadline(*impl_, request.grace);
  Result<wire::Receipt> reply = impl_->ask(request, until, collector(output));
  if (!reply && reply.error().code == ErrorCode::kLost)
    return value_or_throw(remove_lost(*impl_, options.collect));
  if (!reply) throw_failure(Failure(reply.error()));
  if (!impl_->wait_for_supervisor_exit(kPatienceAfterDelete)) {
    throw Error("unresponsive", "the task is deleted, but its supervisor has not ended yet");
  }
  StopReceipt stopped = to_stop_receipt(std::move(*reply));
  return {stopped.signalled, stopped.exited, stopped.killed, std::move(stopped.survivors), std::move(output)};
}

WaitResult Task::wait(const WaitOptions& options) {
  return value_or_throw(wait_for(*impl_, options));
}

Output Task::output(const OutputOptions& options) {
  OutputSource source = value_or_throw(OutputSource::open(*impl_, options));
  Output output = value_or_throw(source.read(options.cursor, options.max_bytes, options.offsets));
  const bool at_end = source.must_wait(output.next) || output.empty();
  if (at_end && !output.gap.any()) output.gap = source.gap();
  return output;
}

std::uint64_t Task::follow(const std::function<bool(const Output&)>& callback, const OutputOptions& options) {
  return follow(FollowOptions{.output = options}, callback).next;
}

FollowResult Task::follow(const FollowOptions& options, const std::function<bool(const Output&)>& callback) {
  return value_or_throw(follow_output(*impl_, options, callback));
}

Stream Task::stream(std::string_view name) const {
  const std::optional<int> number = stream_by_name(name);
  if (!number) throw Error("bad_argument", "there is no stream '" + std::string(name) + "'");
  return Stream(impl_, std::string(wire::stream_name(*number)));
}

Stream Task::stream(int number) const {
  if (number < kStdin || number > kStderr) {
    throw Error("bad_argument",
                "there is no stream " + std::to_string(number) + ": 0 stdin, 1 stdout, 2 stderr");
  }
  return Stream(impl_, std::string(wire::stream_name(number)));
}

}  // namespace bgtask
