#include "protocol/taskdir/rings.h"

#include <unistd.h>

#include "protocol/taskdir/names.h"

namespace bgtask::taskdir {
namespace {

// A mapping of a file that its owner truncates kills the reader. Only the owner of the directory (and root)
// can put files there, so where that is the caller nobody else can do it.
ring::Access access_to(const TaskDirectory& task) {
  return task.owner == ::geteuid() ? ring::Access::kMap : ring::Access::kPread;
}

}  // namespace

Result<ring::RingView> open_ring(const TaskDirectory& task, ring::StreamId stream) {
  const ring::Kind kind = stream == ring::StreamId::kData ? ring::Kind::kMessages : ring::Kind::kBytes;
  return ring::RingView::open(task.fd.get(), ring_name(stream), kind, access_to(task));
}

Result<ring::RingView> open_index(const TaskDirectory& task) {
  return ring::RingView::open(task.fd.get(), kIndex, ring::Kind::kIndex, access_to(task));
}

}  // namespace bgtask::taskdir
