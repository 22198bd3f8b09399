// Requests that wait for the outcome of a restart.
#pragma once

#include <optional>

#include "protocol/wire/message.h"
#include "protocol/wire/messages.h"
#include "supervisor/clients/connection.h"
#include "supervisor/clients/pending_replies.h"
#include "supervisor/task/action_log.h"
#include "supervisor/task/task.h"

namespace bgtask::supervisor {

class Restarts {
 public:
  explicit Restarts(Task& task) : task_(task) {}

  /// Answers at once if the command runs or cannot be forked, else when its exec has succeeded or failed. One
  /// that comes while a restart is under way shares its outcome.
  void request(Connection& connection, wire::Request envelope, const wire::RestartRequest& request);
  /// The restart under way is over.
  void finished(const Status& outcome);
  /// The client is gone.
  void forget(const Connection& connection) { pending_.forget(connection); }

 private:
  Json reply(bool restarted) const;

  Task& task_;
  PendingReplies pending_;
  std::optional<Actor> begun_by_;
};

}  // namespace bgtask::supervisor
