#include "protocol/taskdir/snapshot.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "protocol/io/files.h"
#include "protocol/taskdir/keys.h"
#include "protocol/taskdir/liveness.h"
#include "protocol/taskdir/names.h"
#include "protocol/taskdir/rings.h"
#include "protocol/wire/codec.h"
#include "protocol/wire/limits.h"
#include "protocol/wire/typed.h"

namespace bgtask::taskdir {
namespace {

/// In JSON text bytes that are not UTF-8 are base64 objects; in a document they are binary values.
void restore_bytes(Json& value) {
  if (!value.is_object()) return;
  if (const auto bytes = wire::bytes_of(value)) value = wire::text_value(*bytes);
}

// What every reader relies on, whatever is written there.
constexpr const char* kAlways[] = {key::kCommand, key::kMeta, key::kStatus, key::kStreams};

void make(Json& member, const Json& like) {
  if (member.type() != like.type()) member = like;
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
  Result<std::string> text = io::read_file(task.fd.get(), kStatus, kMaxStatusFile, &task.owner);
  if (!text) return fail(std::move(text).error());
  Result<wire::JsonMembers> members = wire::JsonMembers::of(std::move(*text), wire::reply_limits());
  if (!members) {
    members.error().message.insert(0, what() + ": ");
    return fail(std::move(members).error());
  }
  if (Status known = check_version(members->get(key::kProtocol), what()); !known)
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
  const Result<std::optional<bool>> alive = child_alive();
  if (!alive) return fail(Failure(alive.error()));
  child_runs_ = *alive;
  return {};
}

void Snapshot::put_right(std::string_view key, Json& value) const {
  if (key == key::kPid) {
    value = id_;
  } else if (key == key::kCommand) {
    make(value, Json::array());
    for (Json& argument : value)
      restore_bytes(argument);
  } else if (key == key::kCwd) {
    restore_bytes(value);
  } else if (key == key::kMeta || key == key::kStreams) {
    make(value, Json::object());
  } else if (key == key::kStatus) {
    make_sound_status(value);
    if (lost_) mark_lost(value, child_runs_);
  }
}

std::optional<Json> Snapshot::member(std::string_view key) const {
  std::optional<Json> value = members_.find(key);
  const bool always =
      key == key::kPid || std::find(std::begin(kAlways), std::end(kAlways), key) != std::end(kAlways);
  if (!value && !always) return std::nullopt;
  if (key == key::kMeta && value && value->is_null()) return value;
  if (!value) value.emplace();
  put_right(key, *value);
  return value;
}

std::optional<pid_t> Snapshot::child_pid() const {
  return wire::as_pid(members_.get(key::kChildPid));
}

std::vector<pid_t> Snapshot::former_pids() const {
  return decode_pids(members_.get(key::kFormerPids));
}

double Snapshot::started_at() const {
  return wire::as_number(members_.get(key::kStartedAt)).value_or(0);
}

std::optional<Supervision> Snapshot::supervision() const {
  return decode_supervision(members_.get(key::kSupervision));
}

RunStatus Snapshot::status() const {
  return decode_run_status(member(key::kStatus).value_or(Json()));
}

Result<std::optional<bool>> Snapshot::child_alive() const {
  return taskdir::child_alive(child_pid(), supervision());
}

Json Snapshot::document() const {
  Json document = members_.document();
  const bool no_meta = document.contains(key::kMeta) && document[key::kMeta].is_null();
  for (const char* key : kAlways) {
    if (std::string_view(key) != key::kMeta || !no_meta) put_right(key, document[key]);
  }
  put_right(key::kPid, document[key::kPid]);
  if (const auto cwd = document.find(key::kCwd); cwd != document.end()) put_right(key::kCwd, *cwd);
  return document;
}

StreamPart stream_part(const ring::RingView& ring) {
  return {ring.positions(), ring.capacity()};
}

void make_public(Json& document) {
  document.erase(key::kSupervision);
}

namespace {

constexpr ring::StreamId kOutputs[] = {ring::StreamId::kStdout, ring::StreamId::kStderr,
                                       ring::StreamId::kData};

// A child that ended after its supervisor's death took what was left in its pipes with it.
void mark_gaps(Json& document) {
  const RunStatus status = decode_run_status(document[key::kStatus]);
  if (status.state != State::kLost || status.running != false) return;
  for (Json& positions : document[key::kStreams]) {
    if (positions.is_object() && positions.value("lost", Json()).is_number() &&
        positions.value("eof", Json()) == false)
      positions["gap"] = true;
  }
}

}  // namespace

Status add_positions(const TaskDirectory& task, Json& document) {
  const auto persistent = document.find(key::kPersistent);
  const bool in_files = persistent == document.end() || *persistent != false;
  for (const ring::StreamId stream : kOutputs) {
    if (!in_files) break;
    const Result<ring::RingView> ring = open_ring(task, stream);
    if (ring) {
      document[key::kStreams][ring_name(stream)] = encode(stream_part(*ring));
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
