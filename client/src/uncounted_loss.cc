#include "client/src/uncounted_loss.h"

#include "protocol/taskdir/liveness.h"
#include "protocol/taskdir/snapshot.h"

namespace bgtask {

bool ended_unwatched(const TaskDirectory& task) {
  const Result<bool> alive = taskdir::supervisor_alive(task);
  if (!alive || *alive) return false;
  const Result<Json> snapshot = taskdir::read_snapshot(task, false);
  if (!snapshot) return false;
  const Json status = snapshot->value("status", Json::object());
  return status.is_object() && status.value("running", Json()) == false;
}

OutputGap gap_in(const TaskDirectory& task, const OutputRings& rings) {
  const auto open = [](const ring::RingView& ring) { return !ring.positions().eof; };
  OutputGap gap{.out = open(rings.out), .err = open(rings.err), .data = open(rings.data)};
  if (!gap.any() || !ended_unwatched(task)) gap = {};
  gap.out |= rings.out.positions().gap;
  gap.err |= rings.err.positions().gap;
  gap.data |= rings.data.positions().gap;
  return gap;
}

}  // namespace bgtask
