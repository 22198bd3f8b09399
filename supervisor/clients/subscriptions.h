// Notifications to subscribed clients.
#pragma once

#include "protocol/wire/messages.h"
#include "supervisor/clients/connection.h"
#include "supervisor/task/task.h"

namespace bgtask::supervisor {

/// Sends the events that are due on this connection, as long as its client takes them. To be called after
/// each event of the task and when the connection has sent everything.
void pump(Connection& connection, Task& task);

/// `now_cursor`: the cursor after the newest output.
Subscription make_subscription(const wire::SubscribeRequest& request, const Task& task, uint64_t now_cursor);

}  // namespace bgtask::supervisor
