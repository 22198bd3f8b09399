// Loss that nobody could count: what a task wrote after its supervisor's death, and took with it when it
// ended before anybody adopted it.
#pragma once

#include <bgtask/stream.h>
#include <bgtask/task.h>

#include "client/src/ring_reading.h"
#include "protocol/taskdir/task_directory.h"

namespace bgtask {

/// Whether the supervisor is dead and the command too: of a stream that was open then more may have come.
bool ended_unwatched(const TaskDirectory& task);

/// The streams of such a task that were still open.
OutputGap gap_in(const TaskDirectory& task, const OutputRings& rings);

}  // namespace bgtask
