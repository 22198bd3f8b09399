#include "supervisor/clients/stop_requests.h"

#include <cstring>
#include <optional>
#include <utility>

namespace bgtask::supervisor {

Failure stop_failure(const StopResult& result, const std::string& consequence) {
  if (result.kind == StopResult::Kind::kNotSignalled)
    return fail_errno(consequence + ": cannot look at its processes", result.error).value();
  const std::string why =
      result.error == 0 ? std::string("some of its processes did not end")
                        : std::string("not all processes could be looked at: ") + std::strerror(result.error);
  return {ErrorCode::kKillIncomplete, consequence + ": " + why + "; try again later", result.error,
          wire::encode(result.receipt)};
}

void StopRequests::request(Connection& connection, wire::Request envelope, const wire::StopRequest& request) {
  std::optional<int> signal;
  if (request.signal) signal = request.signal->number;
  const StopPlan plan = stop_plan(task_.spec(), kStopGrace, request.grace, signal);
  task_.note({connection.peer().uid, connection.peer().pid}, "stop");
  pending_.add(connection, std::move(envelope));
  task_.stop(plan, kReasonStopped, [this](const StopResult& result) {
    if (result.kind == StopResult::Kind::kStopped) return pending_.answer(wire::encode(result.receipt));
    pending_.answer(fail(stop_failure(result, "the task is not stopped")));
  });
}

}  // namespace bgtask::supervisor
