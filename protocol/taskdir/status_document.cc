#include "protocol/taskdir/status_document.h"

#include <utility>

#include "protocol/taskdir/keys.h"
#include "protocol/wire/codec.h"
#include "protocol/wire/methods.h"
#include "protocol/wire/signals.h"
#include "protocol/wire/typed.h"

namespace bgtask::taskdir {
namespace {

using wire::as_number;
using wire::as_pid;
using wire::as_unsigned;
using wire::flag_in;
using wire::member_in;
using wire::number_in;
using wire::text_in;
using wire::unsigned_in;

constexpr size_t kMaxCommand = 512 * 1024;  // as JSON
constexpr size_t kMostJsonPerByte = 6;      // \u00XX
constexpr const char* kCommandCut = "command_cut";
constexpr const char* kControlGroup = "cgroup";

template <class T>
Json or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json text_or_null(const std::string& text) {
  return text.empty() ? Json(nullptr) : Json(text);
}

// Only a command that could be too long is measured.
bool fits(const std::vector<std::string>& command) {
  size_t bytes = 0;
  for (const std::string& argument : command)
    bytes += argument.size() + 1;
  return bytes * kMostJsonPerByte <= kMaxCommand;
}

// The arguments up to the limit; whether all are there.
bool add_command(Json& list, const std::vector<std::string>& command) {
  size_t room = fits(command) ? SIZE_MAX : kMaxCommand;
  for (const std::string& argument : command) {
    Json value = wire::text_value(argument);
    if (room != SIZE_MAX) {
      const size_t size = wire::encode_json(value).size() + 1;
      if (size > room) return false;
      room -= size;
    }
    list.push_back(std::move(value));
  }
  return true;
}

Json encode(const std::optional<Usage>& usage) {
  if (!usage) return nullptr;
  Json part = Json::object();
  part["user_seconds"] = usage->user_seconds;
  part["system_seconds"] = usage->system_seconds;
  part["max_rss"] = usage->max_rss;
  return part;
}

Json encode(std::vector<Action>&& actions) {
  Json list = Json::array();
  for (Action& action : actions) {
    Json one = Json::object();
    one["time"] = action.time;
    one["uid"] = action.uid;
    one["pid"] = action.pid;
    one["action"] = std::move(action.action);
    one["count"] = action.count;
    list.push_back(std::move(one));
  }
  return list;
}

Json encode(const Supervision& supervision) {
  return Json{{"boot_id", supervision.boot_id},
              {"start", supervision.start},
              {"child_start", supervision.child_start},
              {"cgroup", supervision.cgroup},
              {"pipes", {{"stdout", supervision.stdout_pipe}, {"stderr", supervision.stderr_pipe}}}};
}

std::vector<std::string> decode_command(const Json& list) {
  std::vector<std::string> command;
  if (!list.is_array()) return command;
  for (const Json& argument : list)
    command.push_back(wire::bytes_of(argument).value_or(std::string()));
  return command;
}

std::vector<Action> decode_actions(const Json& list) {
  std::vector<Action> actions;
  if (!list.is_array()) return actions;
  for (const Json& one : list) {
    if (!one.is_object()) continue;
    actions.push_back({number_in(one, "time"), static_cast<uid_t>(unsigned_in(one, "uid")),
                       as_pid(member_in(one, "pid")).value_or(0), text_in(one, "action"),
                       unsigned_in(one, "count", 1)});
  }
  return actions;
}

std::optional<Usage> decode_usage(const Json& part) {
  if (!part.is_object()) return std::nullopt;
  return Usage{number_in(part, "user_seconds"), number_in(part, "system_seconds"),
               unsigned_in(part, "max_rss")};
}

StreamPart decode_stream(const Json& part) {
  return {positions_in(part), unsigned_in(part, "capacity")};
}

StdinPart decode_stdin(const Json& part) {
  return {unsigned_in(part, "pending"), unsigned_in(part, "written"), flag_in(part, "eof")};
}

}  // namespace

std::vector<pid_t> decode_pids(const Json& list) {
  std::vector<pid_t> pids;
  if (!list.is_array()) return pids;
  for (const Json& one : list) {
    if (const auto pid = as_pid(one)) pids.push_back(*pid);
  }
  return pids;
}

const char* word(State state) {
  switch (state) {
    case State::kRunning:
      return "running";
    case State::kPaused:
      return "paused";
    case State::kExited:
      return "exited";
    case State::kLost:
      return "lost";
    case State::kUnknown:
      return "";
  }
  __builtin_unreachable();
}

State state_of(const Json& name) {
  for (const State state : {State::kRunning, State::kPaused, State::kExited, State::kLost}) {
    if (name == word(state)) return state;
  }
  return State::kUnknown;
}

// Member by member: each reply to a wait has a status, and a list of pairs takes four times as long.
Json encode(const RunStatus& status) {
  Json part = Json::object();
  part["state"] = word(status.state);
  part["running"] = or_null(status.running);
  part["paused"] = status.paused;
  part["exit_code"] = or_null(status.exit_code);
  part["signal"] = status.signal != 0 ? Json(wire::signal_name(status.signal)) : Json(nullptr);
  part["core_dumped"] = status.core_dumped;
  part["reason"] = text_or_null(status.reason);
  return part;
}

RunStatus decode_run_status(const Json& part) {
  RunStatus status;
  status.state = state_of(member_in(part, "state"));
  const Json& running = member_in(part, "running");
  if (running.is_boolean())
    status.running = running.get<bool>();
  else if (part.is_object() && running.is_null() && part.contains("running"))
    status.running.reset();
  status.paused = flag_in(part, "paused");
  if (const Json& code = member_in(part, "exit_code"); code.is_number_integer())
    status.exit_code = code.get<int>();
  if (const Json& signal = member_in(part, "signal"); signal.is_string())
    status.signal = wire::signal_number(signal).value_or(0);
  status.core_dumped = flag_in(part, "core_dumped");
  status.reason = text_in(part, "reason");
  return status;
}

void make_sound_status(Json& status) {
  if (!status.is_object()) status = Json::object();
  if (Json& state = status["state"]; !state.is_string()) state = "";
  if (Json& running = status["running"]; !running.is_boolean()) running = false;
}

void mark_lost(Json& status, std::optional<bool> child_runs) {
  status["state"] = word(State::kLost);
  status["running"] = or_null(child_runs);
}

Json encode(const StdinPart& in) {
  Json part = Json::object();
  part["pending"] = in.pending;
  part["written"] = in.written;
  part["eof"] = in.eof;
  return part;
}

Json encode(const StreamPart& stream) {
  return taskdir::stream_part(stream.positions, stream.capacity);
}

std::optional<Supervision> decode_supervision(const Json& part) {
  if (!part.is_object()) return std::nullopt;
  const Json& pipes = member_in(part, "pipes");
  return Supervision{text_in(part, "boot_id"), unsigned_in(part, "start"),   unsigned_in(part, "child_start"),
                     text_in(part, "cgroup"),  unsigned_in(pipes, "stdout"), unsigned_in(pipes, "stderr")};
}

Json encode(StatusDocument&& from) {
  Json command = Json::array();
  const bool whole = add_command(command, from.command);
  Json streams = Json::object();
  streams["stdin"] = encode(from.in);
  streams["stdout"] = encode(from.out);
  streams["stderr"] = encode(from.err);
  streams["data"] = encode(from.data);
  Json document = Json::object();
  document[key::kPid] = from.pid;
  document[key::kUid] = from.uid;
  document[key::kVersion] = std::move(from.version);
  document[key::kProtocol] = from.protocol;
  document[key::kPersistent] = from.persistent;
  document[key::kOnDisk] = from.on_disk;
  document[key::kCommand] = std::move(command);
  if (!whole) document[kCommandCut] = true;
  document[key::kCwd] = wire::text_value(from.cwd);
  document[key::kMeta] = std::move(from.meta);
  document[key::kChildPid] = or_null(from.child_pid);
  document[key::kFormerPids] = from.former_pids;
  document[key::kContainment] = from.in_control_group ? kControlGroup : "sub-reaper";
  document[key::kMemoryLimit] = or_null(from.memory_limit);
  document[key::kCpuLimit] = or_null(from.cpu_limit);
  document[key::kOomKills] = or_null(from.oom_kills);
  if (from.stop_signal != 0) {
    document[key::kTimeout] = or_null(from.timeout);
    document[key::kStopSignal] = wire::signal_name(from.stop_signal);
    document[key::kStopGrace] = from.stop_grace;
  }
  document[key::kSharedWith] = or_null(from.shared_with);
  document[key::kActions] = encode(std::move(from.actions));
  document[key::kRuns] = from.runs;
  document[key::kStartedAt] = from.started_at;
  document[key::kEndedAt] = or_null(from.ended_at);
  document[key::kStatus] = encode(from.status);
  document[key::kRusage] = encode(from.usage);
  document[key::kStreams] = std::move(streams);
  if (from.live) {
    document[key::kClients] = from.live->clients;
    document[key::kDescendants] = or_null(from.live->descendants);
  }
  if (from.supervision) document[key::kSupervision] = encode(*from.supervision);
  return document;
}

StatusDocument decode(const Json& from) {
  StatusDocument document;
  document.pid = as_pid(member_in(from, key::kPid)).value_or(0);
  document.uid = static_cast<uid_t>(unsigned_in(from, key::kUid));
  document.version = text_in(from, key::kVersion);
  document.protocol = as_pid(member_in(from, key::kProtocol)).value_or(1);
  document.persistent = flag_in(from, key::kPersistent, true);
  document.on_disk = flag_in(from, key::kOnDisk);
  document.command = decode_command(member_in(from, key::kCommand));
  document.cwd = wire::bytes_of(member_in(from, key::kCwd)).value_or(std::string());
  if (const Json& meta = member_in(from, key::kMeta); meta.is_object()) document.meta = meta;
  document.child_pid = as_pid(member_in(from, key::kChildPid));
  document.former_pids = decode_pids(member_in(from, key::kFormerPids));
  document.in_control_group = member_in(from, key::kContainment) == kControlGroup;
  document.memory_limit = as_unsigned(member_in(from, key::kMemoryLimit));
  document.cpu_limit = as_number(member_in(from, key::kCpuLimit));
  document.oom_kills = as_unsigned(member_in(from, key::kOomKills));
  if (const Json& signal = member_in(from, key::kStopSignal); signal.is_string())
    document.stop_signal = wire::signal_number(signal).value_or(0);
  if (document.stop_signal != 0) {
    document.timeout = as_number(member_in(from, key::kTimeout));
    document.stop_grace = number_in(from, key::kStopGrace);
  }
  if (const Json& group = member_in(from, key::kSharedWith); group.is_string())
    document.shared_with = group.get<std::string>();
  document.actions = decode_actions(member_in(from, key::kActions));
  document.runs = unsigned_in(from, key::kRuns, 1);
  document.started_at = number_in(from, key::kStartedAt);
  document.ended_at = as_number(member_in(from, key::kEndedAt));
  document.status = decode_run_status(member_in(from, key::kStatus));
  document.usage = decode_usage(member_in(from, key::kRusage));
  const Json& streams = member_in(from, key::kStreams);
  document.in = decode_stdin(member_in(streams, "stdin"));
  document.out = decode_stream(member_in(streams, "stdout"));
  document.err = decode_stream(member_in(streams, "stderr"));
  document.data = decode_stream(member_in(streams, "data"));
  if (const auto clients = as_unsigned(member_in(from, key::kClients)))
    document.live = StatusDocument::Live{*clients, as_unsigned(member_in(from, key::kDescendants))};
  document.supervision = decode_supervision(member_in(from, key::kSupervision));
  return document;
}

Json stream_of(const Json& document, int number) {
  const std::string name(wire::stream_name(number));
  const Json& part = member_in(member_in(document, key::kStreams), name.c_str());
  return part.is_object() ? part : Json::object();
}

void rename_task(Json& document, pid_t id, const std::vector<pid_t>& former_pids) {
  if (!document.is_object()) return;
  document[key::kPid] = id;
  document[key::kFormerPids] = former_pids;
}

}  // namespace bgtask::taskdir
