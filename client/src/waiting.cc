#include "client/src/waiting.h"

#include <optional>
#include <utility>

#include "client/src/replies.h"
#include "protocol/wire/messages.h"

namespace bgtask {
namespace {

Result<wire::WaitRequest> wait_request(const WaitOptions& options) {
  const std::optional<wire::WaitEvents> events = wire::wait_events(options.for_events);
  if (!events) return wire::wrong_type("for", wire::ParamType::kWaitList);
  wire::WaitRequest request{.events = *events, .cursor = options.cursor};
  if (options.timeout && options.timeout->count() <= wire::kMaxSeconds)
    request.timeout = options.timeout->count();
  return request;
}

bool is_unknown_there(const Failure& failure) {
  return failure.code == ErrorCode::kBadArgument && text_in(failure.data, "parameter") == "status";
}

}  // namespace

Result<WaitResult> wait_for(TaskCore& task, const WaitOptions& options) {
  Result<wire::WaitRequest> request = wait_request(options);
  if (!request) return fail(std::move(request).error());
  const Deadline until = request->timeout ? task.deadline(*options.timeout) : Deadline::never();
  request->status = options.with_status || !task.knows_brief_waits;
  Result<wire::WaitReply> reply = task.ask(*request, until);
  if (!reply && !request->status && is_unknown_there(reply.error())) {
    task.knows_brief_waits = false;
    request->status = true;
    reply = task.ask(*request, until);
  }
  if (!reply) return fail(std::move(reply).error());
  return to_wait_result(std::move(*reply));
}

}  // namespace bgtask
