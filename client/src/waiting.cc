#include "client/src/waiting.h"

#include "client/src/replies.h"
#include "protocol/wire/methods.h"

namespace bgtask {
namespace {

Json wait_params(const WaitOptions& options) {
  Json params{{"for", options.for_events}, {"cursor", options.cursor}};
  if (options.timeout && options.timeout->count() <= wire::kMaxSeconds)
    params["timeout"] = options.timeout->count();
  return params;
}

bool is_unknown_there(const Failure& failure) {
  return failure.code == ErrorCode::kBadArgument && text_in(failure.data, "parameter") == "status";
}

}  // namespace

Result<WaitResult> wait_for(TaskCore& task, const WaitOptions& options) {
  Json params = wait_params(options);
  const Deadline until = params.contains("timeout") ? task.deadline(*options.timeout) : Deadline::never();
  const bool brief = !options.with_status && task.knows_brief_waits;
  if (brief) {
    params["status"] = false;
    const Result<Json> reply = task.call("wait", params, until);
    if (reply) return to_wait_result(*reply);
    if (!is_unknown_there(reply.error())) return fail(Failure(reply.error()));
    task.knows_brief_waits = false;
    params.erase("status");
  }
  const Result<Json> reply = task.call("wait", std::move(params), until);
  if (!reply) return fail(Failure(reply.error()));
  return to_wait_result(*reply);
}

}  // namespace bgtask
