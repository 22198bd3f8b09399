// Pools and tasks on disk, under the library's own namespace.
#pragma once

#include "protocol/taskdir/liveness.h"
#include "protocol/taskdir/pool_directory.h"
#include "protocol/taskdir/pool_listing.h"
#include "protocol/taskdir/rings.h"
#include "protocol/taskdir/snapshot.h"
#include "protocol/taskdir/task_directory.h"

namespace bgtask {

using taskdir::PoolDirectory;
using taskdir::Snapshot;
using taskdir::TaskDirectory;

}  // namespace bgtask
