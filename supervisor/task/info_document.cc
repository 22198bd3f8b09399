#include "supervisor/task/info_document.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "protocol/wire/limits.h"
#include "supervisor/processes/process.h"
#include "supervisor/task/stop_plan.h"

namespace bgtask::supervisor {
namespace {

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

double seconds_of_ticks(uint64_t ticks) {
  return static_cast<double>(ticks) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

}  // namespace

std::optional<taskdir::Usage> InfoDocument::usage() const {
  const auto& usage = sources_.run.usage();
  if (!usage || sources_.life.alive()) return std::nullopt;
  return taskdir::Usage{seconds(usage->ru_utime), seconds(usage->ru_stime),
                        static_cast<uint64_t>(usage->ru_maxrss) * 1024};
}

taskdir::Supervision InfoDocument::supervision() const {
  return {.boot_id = sources_.identity.boot_id,
          .start = sources_.identity.start_ticks,
          .child_start = sources_.run.start_ticks(),
          .cgroup = sources_.processes.group_path(),
          .stdout_pipe = sources_.run.pipe_inode(StreamId::kStdout),
          .stderr_pipe = sources_.run.pipe_inode(StreamId::kStderr)};
}

taskdir::StdinPart InfoDocument::in() const {
  const StdinQueue& queue = sources_.stdin_queue;
  return {queue.pending(), queue.written(), queue.eof()};
}

taskdir::StreamPart InfoDocument::out(StreamId stream) const {
  const Rings& rings = sources_.output->rings();
  return {rings.positions(stream), rings.capacity(stream)};
}

Json InfoDocument::stream(int stream) const {
  return stream == 0 ? taskdir::encode(in()) : taskdir::encode(out(static_cast<StreamId>(stream)));
}

taskdir::StatusDocument InfoDocument::document() const {
  const wire::LaunchSpec& spec = sources_.spec;
  const Lifecycle& life = sources_.life;
  const auto& group = sources_.processes.group;
  taskdir::StatusDocument document;
  document.pid = sources_.identity.id;
  document.uid = ::geteuid();
  document.version = BGTASK_VERSION;
  document.protocol = wire::kProtocolVersion;
  document.persistent = !spec.rings_in_memory;
  document.on_disk = sources_.files.on_disk();
  document.command = spec.exec;
  document.cwd = spec.cwd;
  document.meta = sources_.meta;
  document.child_pid = life.child();
  document.former_pids = sources_.identity.former_ids;
  document.in_control_group = group.has_value();
  if (spec.memory != 0) document.memory_limit = spec.memory;
  if (spec.cpus != 0) document.cpu_limit = spec.cpus;
  if (group) document.oom_kills = group->oom_kills();
  document.timeout = spec.timeout;
  document.stop_signal = spec.stop_signal;
  document.stop_grace = spec.stop_grace.value_or(kStopGrace);
  if (spec.share_with) document.shared_with = spec.share_with->name;
  document.actions = sources_.actions.entries();
  document.runs = life.runs();
  document.started_at = life.started_at();
  document.ended_at = life.ended_at();
  document.status = life.status();
  document.usage = usage();
  document.in = in();
  document.out = out(StreamId::kStdout);
  document.err = out(StreamId::kStderr);
  document.data = out(StreamId::kData);
  return document;
}

Json InfoDocument::published() const {
  taskdir::StatusDocument published = document();
  published.supervision = supervision();
  return taskdir::encode(std::move(published));
}

Json InfoDocument::live(uint64_t clients) const {
  const Lifecycle& life = sources_.life;
  taskdir::StatusDocument info = document();
  Look look;
  const std::vector<ProcessTree::Member> members = sources_.processes.tree.find(look);
  const auto child = std::find_if(members.begin(), members.end(), [&](const ProcessTree::Member& member) {
    return member.pid == life.child();
  });
  const bool seen = child != members.end();
  taskdir::StatusDocument::Live of_this_moment;
  of_this_moment.clients = clients;
  if (look.complete) of_this_moment.descendants = members.size() - (seen ? 1 : 0);
  info.live = of_this_moment;
  if (life.child()) {
    if (auto stat = seen ? child->stat : process_stat(*life.child())) {
      info.usage = taskdir::Usage{seconds_of_ticks(stat->user_ticks), seconds_of_ticks(stat->system_ticks),
                                  peak_memory(*life.child())};
    }
  }
  return taskdir::encode(std::move(info));
}

}  // namespace bgtask::supervisor
