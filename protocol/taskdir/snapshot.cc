#include "protocol/taskdir/snapshot.h"

#include <string.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "protocol/io/files.h"
#include "protocol/taskdir/liveness.h"
#include "protocol/taskdir/names.h"
#include "protocol/taskdir/rings.h"
#include "protocol/wire/codec.h"
#include "protocol/wire/limits.h"

namespace bgtask::taskdir {
namespace {

/// In JSON text bytes that are not UTF-8 are base64 objects; in a document they are binary values.
void restore_bytes(Json& value) {
  if (!value.is_object()) return;
  if (const auto bytes = wire::bytes_of(value)) value = wire::text_value(*bytes);
}

// What every reader relies on, whatever is written there.
constexpr const char* kAlways[] = {"command", "meta", "status", "streams"};

void make(Json& member, const Json& like) {
  if (member.type() != like.type()) member = like;
}

Json error_name(int error) {
  if (error == 0) return nullptr;
  const char* name = ::strerrorname_np(error);
  return name != nullptr ? Json(name) : Json(std::to_string(error));
}

Status check_version(const Json& version, const std::string& what) {
  if (!version.is_number_integer() || version <= wire::kProtocolVersion) return {};
  return fail(ErrorCode::kVersionMismatch,
              what + " is of protocol version " + version.dump() + "; this program understands up to " +
                  std::to_string(wire::kProtocolVersion) + ": install a newer one");
}

}  // namespace

Result<Snapshot> Snapshot::read(const TaskDirectory& task) {
  const auto what = [&] { return "the status of task " + std::to_string(task.id); };
  Result<std::string> text = io::read_file(task.fd.get(), kStatus, wire::kMaxStatusFile, &task.owner);
  if (!text) return fail(std::move(text).error());
  Result<wire::JsonMembers> members = wire::JsonMembers::of(std::move(*text), wire::reply_limits());
  if (!members) {
    members.error().message.insert(0, what() + ": ");
    return fail(std::move(members).error());
  }
  if (Status known = check_version(members->get("protocol"), what()); !known)
    return fail(std::move(known).error());
  const Result<bool> alive = supervisor_alive(task);
  if (!alive) return fail(Failure(alive.error()));
  Snapshot snapshot(std::move(*members), task.id, !*alive);
  if (Status learned = snapshot.look_for_child(); !learned) return fail(std::move(learned).error());
  return snapshot;
}

// At once and not when somebody asks: what cannot be learned for want of descriptors is not to be left out.
Status Snapshot::look_for_child() {
  if (!lost_) return {};
  const Result<std::optional<bool>> alive =
      child_alive({{"child_pid", members_.get("child_pid")}, {"supervision", members_.get("supervision")}});
  if (!alive) return fail(Failure(alive.error()));
  child_runs_ = *alive;
  return {};
}

void Snapshot::put_right(std::string_view key, Json& value) const {
  if (key == "pid") {
    value = id_;
  } else if (key == "command") {
    make(value, Json::array());
    for (Json& argument : value)
      restore_bytes(argument);
  } else if (key == "cwd") {
    restore_bytes(value);
  } else if (key == "meta" || key == "streams") {
    make(value, Json::object());
  } else if (key == "status") {
    make(value, Json::object());
    make(value["state"], "");
    make(value["running"], false);
    if (!lost_) return;
    value["running"] = child_runs_ ? Json(*child_runs_) : Json(nullptr);
    value["state"] = "lost";
  }
}

std::optional<Json> Snapshot::member(std::string_view key) const {
  std::optional<Json> value = members_.find(key);
  const bool always =
      key == "pid" || std::find(std::begin(kAlways), std::end(kAlways), key) != std::end(kAlways);
  if (!value && !always) return std::nullopt;
  if (key == "meta" && value && value->is_null()) return value;
  if (!value) value.emplace();
  put_right(key, *value);
  return value;
}

Json Snapshot::document() const {
  Json document = members_.document();
  const bool no_meta = document.contains("meta") && document["meta"].is_null();
  for (const char* key : kAlways) {
    if (std::string_view(key) != "meta" || !no_meta) put_right(key, document[key]);
  }
  put_right("pid", document["pid"]);
  if (const auto cwd = document.find("cwd"); cwd != document.end()) put_right("cwd", *cwd);
  return document;
}

Json stream_document(const ring::RingView& ring) {
  const ring::Positions now = ring.positions();
  return {{"start", now.start}, {"consumed", now.consumed},
          {"limit", now.limit}, {"lost", now.lost},
          {"eof", now.eof},     {"error", error_name(now.error)},
          {"gap", now.gap},     {"capacity", ring.capacity()}};
}

namespace {

constexpr ring::StreamId kOutputs[] = {ring::StreamId::kStdout, ring::StreamId::kStderr,
                                       ring::StreamId::kData};

// A child that ended after its supervisor's death took what was left in its pipes with it.
void mark_gaps(Json& document) {
  const Json& status = document["status"];
  if (!status.is_object() || status.value("state", Json()) != "lost" ||
      status.value("running", Json()) != false)
    return;
  for (Json& positions : document["streams"]) {
    if (positions.is_object() && positions.value("lost", Json()).is_number() &&
        positions.value("eof", Json()) == false)
      positions["gap"] = true;
  }
}

}  // namespace

Status add_positions(const TaskDirectory& task, Json& document) {
  const auto persistent = document.find("persistent");
  const bool in_files = persistent == document.end() || *persistent != false;
  for (const ring::StreamId stream : kOutputs) {
    if (!in_files) break;
    const Result<ring::RingView> ring = open_ring(task, stream);
    if (ring) {
      document["streams"][ring_name(stream)] = stream_document(*ring);
    } else if (ring.error().code == ErrorCode::kNotFound) {
      return fail(Failure(ring.error()));  // a delete is under way
    }
  }
  mark_gaps(document);
  return {};
}

Result<Json> read_snapshot(const TaskDirectory& task, bool with_streams) {
  const Result<Snapshot> snapshot = Snapshot::read(task);
  if (!snapshot) return fail(Failure(snapshot.error()));
  Json document = snapshot->document();
  if (with_streams) {
    if (Status done = add_positions(task, document); !done) return fail(std::move(done).error());
  }
  return document;
}

}  // namespace bgtask::taskdir
