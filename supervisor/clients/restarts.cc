#include "supervisor/clients/restarts.h"

#include <utility>

namespace bgtask::supervisor {

Json Restarts::reply(bool restarted) const {
  return wire::encode(wire::RestartReply{.restarted = restarted, .child_pid = task_.child()});
}

void Restarts::request(Connection& connection, wire::Request envelope, const wire::RestartRequest& request) {
  if (connection.awaited() >= Connection::kMaxAwaited) {
    return connection.reply(envelope,
                            fail(ErrorCode::kBusy, "too many requests of this connection wait already"));
  }
  if (!task_.starting()) {
    if (task_.alive() && !task_.stopping()) return connection.reply(envelope, reply(false));
    begun_by_ = Actor{connection.peer().uid, connection.peer().pid};
    if (Status begun = task_.restart(request.force); !begun)
      return connection.reply(envelope, fail(std::move(begun).error()));
  }
  pending_.add(connection, std::move(envelope));
}

void Restarts::finished(const Status& outcome) {
  if (outcome && begun_by_) task_.note(*begun_by_, "restart");
  begun_by_.reset();
  pending_.answer(outcome ? Result<Json>(reply(true)) : fail(outcome.error()));
}

}  // namespace bgtask::supervisor
