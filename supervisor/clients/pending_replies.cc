#include "supervisor/clients/pending_replies.h"

#include <utility>

namespace bgtask::supervisor {

void PendingReplies::add(Connection& connection, wire::Request request) {
  connection.expect_reply();
  pending_.push_back({&connection, std::move(request)});
}

void PendingReplies::answer(const Result<Json>& result) {
  // Sending may end a connection, whose requests are then forgotten, and may bring new requests, which are
  // not answered with this result.
  answering_.splice(answering_.end(), pending_);
  while (!answering_.empty()) {
    Pending one = std::move(answering_.front());
    answering_.pop_front();
    one.connection->reply(one.request, result);
    one.connection->reply_given();
  }
}

void PendingReplies::forget(const Connection& connection) {
  auto is_its = [&](const Pending& one) { return one.connection == &connection; };
  pending_.remove_if(is_its);
  answering_.remove_if(is_its);
}

}  // namespace bgtask::supervisor
