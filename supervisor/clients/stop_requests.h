// Clients' `stop` requests, and what is answered when the processes of a task have been stopped or have not.
#pragma once

#include <string>

#include "protocol/wire/messages.h"
#include "supervisor/clients/pending_replies.h"
#include "supervisor/task/task.h"

namespace bgtask::supervisor {

class StopRequests {
 public:
  explicit StopRequests(Task& task) : task_(task) {}

  /// A client's `stop`. One that comes while another is under way shares its outcome.
  void request(Connection& connection, wire::Request envelope, const wire::StopRequest& request);
  void forget(const Connection& connection) { pending_.forget(connection); }

 private:
  Task& task_;
  PendingReplies pending_;
};

/// Why the processes have not been stopped. `consequence` begins the message: "the task is not deleted".
Failure stop_failure(const StopResult& result, const std::string& consequence);

}  // namespace bgtask::supervisor
