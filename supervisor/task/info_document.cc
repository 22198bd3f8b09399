#include "supervisor/task/info_document.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "protocol/wire/codec.h"
#include "protocol/wire/limits.h"
#include "protocol/wire/methods.h"
#include "protocol/wire/signals.h"
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

Json position_json(const ring::Positions& positions, uint64_t capacity) {
  Json position = Json::object();
  position["start"] = positions.start;
  position["consumed"] = positions.consumed;
  position["limit"] = positions.limit;
  position["lost"] = positions.lost;
  position["eof"] = positions.eof;
  position["error"] = positions.error != 0 ? Json(::strerrorname_np(positions.error)) : Json(nullptr);
  position["gap"] = positions.gap;
  position["capacity"] = capacity;
  return position;
}

Json rusage_json(double user_seconds, double system_seconds, uint64_t max_rss) {
  Json usage = Json::object();
  usage["user_seconds"] = user_seconds;
  usage["system_seconds"] = system_seconds;
  usage["max_rss"] = max_rss;
  return usage;
}

}  // namespace

Json InfoDocument::rusage() const {
  const auto& usage = sources_.run.usage();
  if (!usage || sources_.life.alive()) return nullptr;
  return rusage_json(seconds(usage->ru_utime), seconds(usage->ru_stime),
                     static_cast<uint64_t>(usage->ru_maxrss) * 1024);
}

Json InfoDocument::supervision() const {
  return Json{{"boot_id", sources_.identity.boot_id},
              {"start", sources_.identity.start_ticks},
              {"child_start", sources_.run.start_ticks()},
              {"cgroup", sources_.processes.group_path()},
              {"pipes",
               {{"stdout", sources_.run.pipe_inode(StreamId::kStdout)},
                {"stderr", sources_.run.pipe_inode(StreamId::kStderr)}}}};
}

Json InfoDocument::stream(int stream) const {
  if (stream != 0) {
    auto id = static_cast<StreamId>(stream);
    const Rings& rings = sources_.output->rings();
    return position_json(rings.positions(id), rings.capacity(id));
  }
  Json info = Json::object();
  info["pending"] = sources_.stdin_queue.pending();
  info["written"] = sources_.stdin_queue.written();
  info["eof"] = sources_.stdin_queue.eof();
  return info;
}

// Member by member: `info` asks for it, and a list of pairs takes four times as long.
Json InfoDocument::document() const {
  const wire::LaunchSpec& spec = sources_.spec;
  const Lifecycle& life = sources_.life;
  const auto& group = sources_.processes.group;
  Json command = Json::array();
  for (const std::string& argument : spec.exec)
    command.push_back(wire::text_value(argument));
  Json streams = Json::object();
  for (int number = 0; number <= 3; ++number)
    streams[std::string(wire::stream_name(number))] = stream(number);
  Json document = Json::object();
  document["pid"] = sources_.identity.id;
  document["uid"] = ::geteuid();
  document["version"] = BGTASK_VERSION;
  document["protocol"] = wire::kProtocolVersion;
  document["persistent"] = !spec.rings_in_memory;
  document["on_disk"] = sources_.files.on_disk();
  document["command"] = std::move(command);
  document["cwd"] = wire::text_value(spec.cwd);
  document["meta"] = sources_.meta;
  document["child_pid"] = life.child() ? Json(*life.child()) : Json(nullptr);
  document["former_pids"] = sources_.identity.former_ids;
  document["containment"] = group ? "cgroup" : "sub-reaper";
  document["memory_limit"] = spec.memory != 0 ? Json(spec.memory) : Json(nullptr);
  document["cpu_limit"] = spec.cpus != 0 ? Json(spec.cpus) : Json(nullptr);
  document["oom_kills"] = group ? Json(group->oom_kills()) : Json(nullptr);
  document["timeout"] = spec.timeout ? Json(*spec.timeout) : Json(nullptr);
  document["stop_signal"] = wire::signal_name(spec.stop_signal);
  document["stop_grace"] = spec.stop_grace.value_or(kStopGrace);
  document["shared_with"] = spec.share_with ? Json(spec.share_with->name) : Json(nullptr);
  document["actions"] = sources_.actions.document();
  document["runs"] = life.runs();
  document["started_at"] = life.started_at();
  document["ended_at"] = life.ended_at();
  document["status"] = life.status();
  document["rusage"] = rusage();
  document["streams"] = std::move(streams);
  return document;
}

Json InfoDocument::published() const {
  Json published = document();
  published["supervision"] = supervision();
  return published;
}

Json InfoDocument::live(uint64_t clients) const {
  const Lifecycle& life = sources_.life;
  Json info = document();
  Look look;
  const std::vector<ProcessTree::Member> members = sources_.processes.tree.find(look);
  const auto child = std::find_if(members.begin(), members.end(), [&](const ProcessTree::Member& member) {
    return member.pid == life.child();
  });
  const bool seen = child != members.end();
  info["descendants"] = look.complete ? Json(members.size() - (seen ? 1 : 0)) : Json(nullptr);
  info["clients"] = clients;
  if (life.child()) {
    if (auto stat = seen ? child->stat : process_stat(*life.child())) {
      info["rusage"] = rusage_json(seconds_of_ticks(stat->user_ticks), seconds_of_ticks(stat->system_ticks),
                                   peak_memory(*life.child()));
    }
  }
  return info;
}

}  // namespace bgtask::supervisor
