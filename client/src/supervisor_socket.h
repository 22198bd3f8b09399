// Connecting to a task's supervisor without waiting.
#pragma once

#include <sys/types.h>

#include "client/src/session.h"
#include "client/src/task_directory.h"
#include "protocol/io/unique_fd.h"
#include "protocol/wire/result.h"

namespace bgtask {

struct SupervisorSocket {
  io::UniqueFd fd;       ///< non-blocking
  pid_t supervisor = 0;  ///< the process that listens; 0 where it is outside of our pid namespace
};

/// Tries once. busy (the backlog is full), lost or not_found (nobody listens): look at the task's lock, and
/// try again while it is held. impostor: the process that listens is neither the task owner's nor root's.
/// Other failures do not pass.
Result<SupervisorSocket> connect_to_supervisor(const TaskDirectory& task);

/// Whether a failure to connect may pass while the supervisor lives: a full backlog, or the moment between
/// bind and listen. Without /proc no socket can be reached, so nothing passes.
bool may_connect_later(const Failure& failure);

/// Sends as much of a session's bytes as the socket takes at once. Where the peer has closed the rest is
/// dropped: what the peer said before is still to be read.
void send_unsent(int socket, ClientSession& session);

/// The failure for a task whose lock is free.
Failure supervisor_is_dead(pid_t task);

}  // namespace bgtask
