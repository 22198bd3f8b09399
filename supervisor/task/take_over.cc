#include "supervisor/task/take_over.h"

#include <utility>

#include "supervisor/processes/adoption.h"
#include "supervisor/processes/lock_file.h"
#include "supervisor/task/wall_clock.h"

namespace bgtask::supervisor {
namespace {

// The lock went with the dead supervisor. Another task may have it by now, and the child runs all the same.
io::UniqueFd lock_again(TaskParts& parts) {
  if (parts.spec.lock_file.empty()) return {};
  auto lock = acquire_lock_file(parts.spec.lock_file);
  if (lock) return std::move(*lock);
  parts.files.log("adopted without its lock: " + lock.error().message);
  return {};
}

Status take_over_child(TaskParts& parts, const taskdir::StatusDocument& published) {
  auto child = find_published_child(published, parts.identity.boot_id);
  if (!child) return fail(std::move(child).error());
  const bool was_running = published.status.running == true;
  // A child that ended without a supervisor has no pid any more, but its end is still to be told.
  std::optional<pid_t> known;
  if (was_running) known = *child ? (*child)->pid : 0;
  parts.life = Lifecycle::resumed(published, known);
  if (*child) {
    if (Status watched = parts.run.adopt(std::move(**child), lock_again(parts)); !watched) return watched;
    parts.begin_limit();
  } else if (was_running) {
    parts.life.ended(Outcome{{}, 0, false, "unknown"}, wall_clock());  // the process that reaped it knows how
  }
  return {};
}

void reattach_streams(TaskParts& parts, const taskdir::StatusDocument& published) {
  AdoptedStreams streams = recover_streams(parts.life.child(), parts.processes.tree.members(), published);
  auto attach = [&](StreamId stream, io::UniqueFd fd) {
    if (!fd) return;
    if (Status attached = parts.output->attach(stream, std::move(fd)); !attached)
      parts.files.log("stream of the adopted child: " + attached.error().message);
  };
  attach(StreamId::kStdout, std::move(streams.stdout_pipe));
  attach(StreamId::kStderr, std::move(streams.stderr_pipe));
  attach(StreamId::kData, std::move(streams.data_socket));
}

}  // namespace

Status take_over(TaskParts& parts, const taskdir::StatusDocument& published, std::vector<pid_t> former_ids) {
  if (Status ready = parts.prepare(); !ready) return ready;
  parts.identity.former_ids = std::move(former_ids);
  parts.processes.tree.look_everywhere();
  const bool this_boot = same_boot(published, parts.identity.boot_id);
  if (this_boot) parts.processes.use(ControlGroup::take_over(published.supervision->cgroup));
  parts.processes.forget_oom_kills();
  auto rings = Rings::take_over(parts.files.directory(), parts.spec, published);
  if (!rings) return fail(std::move(rings).error());
  parts.use(std::move(*rings));
  std::vector<std::string>().swap(parts.spec.env);
  parts.meta = published.meta;
  parts.actions.resume(published.actions);
  if (Status taken = take_over_child(parts, published); !taken) return taken;
  if (this_boot) reattach_streams(parts, published);
  for (StreamId stream : kOutputStreams)
    parts.output->end_if_unattached(stream);
  return {};
}

}  // namespace bgtask::supervisor
