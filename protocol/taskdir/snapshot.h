// The info document that a task has published, parsed as far as it is asked for.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "protocol/ring/ring_view.h"
#include "protocol/taskdir/status_document.h"
#include "protocol/taskdir/task_directory.h"
#include "protocol/wire/json.h"
#include "protocol/wire/json_members.h"
#include "protocol/wire/result.h"

namespace bgtask::taskdir {

class Snapshot {
 public:
  /// not_found while the task has not started or is being withdrawn. Looks for the child where the supervisor
  /// is dead.
  static Result<Snapshot> read(const TaskDirectory& task);

  /// A member of the info document, put right: state "lost" and `running` corrected where the supervisor is
  /// dead. Stream positions are those of the last publication.
  std::optional<Json> member(std::string_view key) const;
  /// All of them.
  Json document() const;

  std::optional<pid_t> child_pid() const;
  std::vector<pid_t> former_pids() const;
  double started_at() const;  ///< 0 where it is not known
  std::optional<Supervision> supervision() const;
  RunStatus status() const;
  /// Whether the child is still the process that was published; see taskdir::child_alive().
  Result<std::optional<bool>> child_alive() const;

 private:
  Snapshot(wire::JsonMembers members, pid_t id, bool lost)
      : members_(std::move(members)), id_(id), lost_(lost) {}

  Status look_for_child();
  void put_right(std::string_view key, Json& value) const;

  wire::JsonMembers members_;
  pid_t id_;
  bool lost_;
  std::optional<bool> child_runs_ = {};  // of a lost task; nothing where that cannot be known
};

/// Replaces stream positions by those of this moment, from the rings, and marks gaps of a lost task whose
/// child has ended. not_found where the rings are gone.
Status add_positions(const TaskDirectory& task, Json& document);

/// The whole document of a Snapshot, with positions of this moment unless `with_streams` is false.
Result<Json> read_snapshot(const TaskDirectory& task, bool with_streams = true);

/// A stream's part of the info document, from its ring.
StreamPart stream_part(const ring::RingView& ring);

/// Removes the part that only adopters need.
void make_public(Json& document);

}  // namespace bgtask::taskdir
