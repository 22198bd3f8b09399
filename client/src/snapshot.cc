#include <cstdint>
#include <optional>
#include <string>

#include "client/src/ring_reading.h"
#include "client/src/stream_names.h"
#include "client/src/task_directory.h"
#include "protocol/io/files.h"
#include "protocol/io/process_stat.h"
#include "protocol/wire/codec.h"
#include "protocol/wire/limits.h"
#include "protocol/wire/methods.h"

namespace bgtask {
namespace {

/// In JSON text bytes that are not UTF-8 are base64 objects; in a document they are binary values.
void restore_bytes(Json& value) {
  if (!value.is_object()) return;
  if (const auto bytes = wire::bytes_of(value)) value = wire::bytes_value(*bytes);
}

void restore_command(Json& document) {
  const auto command = document.find("command");
  if (command != document.end() && command->is_array()) {
    for (Json& argument : *command)
      restore_bytes(argument);
  }
  if (const auto cwd = document.find("cwd"); cwd != document.end()) restore_bytes(*cwd);
}

/// What every reader relies on, whatever is written there: the task is the one whose directory this is, and
/// these members are of their types.
void put_right(Json& document, pid_t id) {
  document["pid"] = id;
  const auto make = [](Json& member, const Json& like) {
    if (member.type() != like.type()) member = like;
  };
  make(document["command"], Json::array());
  make(document["status"], Json::object());
  make(document["streams"], Json::object());
  if (!document.contains("meta") || !document["meta"].is_null()) make(document["meta"], Json::object());
  make(document["status"]["state"], "");
  make(document["status"]["running"], false);
}

Status check_version(const Json& document, const std::string& what) {
  const Json version = document.value("protocol", Json(wire::kProtocolVersion));
  if (!version.is_number_integer() || version <= wire::kProtocolVersion) return {};
  return fail(ErrorCode::kVersionMismatch,
              what + " is of protocol version " + version.dump() + "; this program understands up to " +
                  std::to_string(wire::kProtocolVersion) + ": install a newer one");
}

Result<Json> published(const TaskDirectory& task) {
  const std::string what = "the status of task " + std::to_string(task.id);
  Result<std::string> text = io::read_file(task.fd.get(), "status", wire::kMaxStatusFile, &task.owner);
  if (!text) return fail(std::move(text).error());
  Result<Json> document = wire::decode_json(*text, wire::reply_limits());
  if (!document) {
    document.error().message.insert(0, what + ": ");
    return document;
  }
  if (!document->is_object()) return fail(ErrorCode::kParseError, what + " is not an object");
  if (Status known = check_version(*document, what); !known) return fail(std::move(known).error());
  restore_command(*document);
  put_right(*document, task.id);
  return document;
}

/// Positions of this moment. A ring that cannot be read leaves those of the last publication in place: what
/// is known of the task must not depend on it.
Status add_positions(const TaskDirectory& task, Json& document) {
  const auto persistent = document.find("persistent");
  if (persistent != document.end() && *persistent == false) return {};
  Json& streams = document["streams"];
  for (const int stream : {kStdout, kStderr, kData}) {
    const Result<ring::RingView> ring = open_ring(task, stream);
    if (ring) {
      streams[std::string(wire::stream_name(stream))] = stream_document(*ring);
    } else if (ring.error().code == ErrorCode::kNotFound) {
      return fail(Failure(ring.error()));  // a delete is under way
    }
  }
  return {};
}

void mark_lost(Json& document) {
  Json& status = document["status"];
  const std::optional<bool> alive = child_alive(document);
  status["running"] = alive ? Json(*alive) : Json(nullptr);
  status["state"] = "lost";
}

}  // namespace

Result<Json> read_snapshot(const TaskDirectory& task, bool with_streams) {
  Result<Json> document = published(task);
  if (!document) return document;
  const Result<bool> alive = supervisor_alive(task);
  if (!alive) return fail(Failure(alive.error()));
  if (!*alive) mark_lost(*document);
  if (with_streams) {
    if (Status done = add_positions(task, *document); !done) return fail(std::move(done).error());
  }
  return document;
}

std::optional<bool> child_alive(const Json& snapshot) {
  const auto child = snapshot.find("child_pid");
  const auto supervision = snapshot.find("supervision");
  if (child == snapshot.end() || !child->is_number_integer()) return false;
  if (supervision == snapshot.end() || !supervision->is_object()) return false;
  const auto boot_id = supervision->find("boot_id");
  const auto start = supervision->find("child_start");
  if (boot_id == supervision->end() || start == supervision->end() || !start->is_number_integer())
    return false;

  const Result<std::string> boot = io::boot_id();
  if (!boot) return std::nullopt;
  if (*boot_id != *boot) return false;
  const Result<io::ProcessStat> process = io::process_stat(child->get<pid_t>());
  if (!process && process.error().code != ErrorCode::kNotFound) return std::nullopt;
  // A zombie has ended; its new parent merely has not looked yet.
  return process && process->start_ticks == start->get<std::uint64_t>() && !process->dead();
}

}  // namespace bgtask
