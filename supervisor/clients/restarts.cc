#include "supervisor/clients/restarts.h"

#include <utility>

#include "protocol/wire/messages.h"

namespace bgtask::supervisor {

Json Restarts::reply(bool restarted) const {
  return wire::encode(wire::RestartReply{.restarted = restarted, .child_pid = task_.child()});
}

void Restarts::request(Connection& connection, wire::Request envelope) {
  if (connection.awaited() >= Connection::kMaxAwaited) {
    return connection.reply(envelope,
                            fail(ErrorCode::kBusy, "too many requests of this connection wait already"));
  }
  if (!task_.starting()) {
    if (task_.alive()) return connection.reply(envelope, reply(false));
    begun_by_ = Actor{connection.peer().uid, connection.peer().pid};
    if (Status begun = task_.restart(); !begun)
      return connection.reply(envelope, fail(std::move(begun).error()));
  }
  connection.expect_reply();
  askers_.push_back({&connection, std::move(envelope)});
}

void Restarts::finished(const Status& outcome) {
  if (outcome && begun_by_) task_.note(*begun_by_, "restart");
  begun_by_.reset();
  const Result<Json> result = outcome ? Result<Json>(reply(true)) : fail(outcome.error());
  while (!askers_.empty()) {
    // Out of the list first: sending may end the connection, whose requests are then forgotten.
    Asker asker = std::move(askers_.front());
    askers_.pop_front();
    asker.connection->reply(asker.envelope, result);
    asker.connection->reply_given();
  }
}

void Restarts::forget(const Connection& connection) {
  askers_.remove_if([&](const Asker& asker) { return asker.connection == &connection; });
}

}  // namespace bgtask::supervisor
