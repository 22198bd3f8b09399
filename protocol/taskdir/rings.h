// A task's ring files for readers.
#pragma once

#include "protocol/ring/ring_view.h"
#include "protocol/taskdir/task_directory.h"
#include "protocol/wire/result.h"

namespace bgtask::taskdir {

/// The ring of one output stream. not_found where the rings are not files.
Result<ring::RingView> open_ring(const TaskDirectory& task, ring::StreamId stream);
/// The ring of records over all streams.
Result<ring::RingView> open_index(const TaskDirectory& task);

}  // namespace bgtask::taskdir
