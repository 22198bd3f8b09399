// Notifications to clients that subscribed.
#pragma once

#include "supervisor/clients/connection.h"
#include "supervisor/task/task.h"

namespace bgtask::supervisor {

/// Sends what is due on this connection, as long as its client takes it. To be called when something happened
/// and when the connection has sent everything.
void pump(Connection& connection, Task& task);

/// A subscription from the parameters of `subscribe`.
Subscription make_subscription(const Json& params, const Task& task, uint64_t now_cursor);

/// Bits for a list of output stream names; all where there is none.
uint32_t stream_bits(const Json& params);

}  // namespace bgtask::supervisor
