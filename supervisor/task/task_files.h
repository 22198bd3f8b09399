// A task's directory, from its hidden making to its removal. Made whole and renamed into place; renamed away
// and then removed: nobody ever sees half of one.
#pragma once

#include <sys/types.h>

#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/io/unique_fd.h"
#include "protocol/wire/json.h"
#include "protocol/wire/launch.h"
#include "protocol/wire/result.h"

namespace bgtask::supervisor {

/// The task's sockets: one to steer it by, one that only answers questions.
enum class Endpoint { kControl, kRead };
inline constexpr Endpoint kEndpoints[] = {Endpoint::kControl, Endpoint::kRead};

class TaskFiles {
 public:
  /// The file name of the endpoint's socket.
  static const char* name_of(Endpoint endpoint);
  /// Makes a directory of that (hidden) name in the pool, with the lock file held. Members of the group, if
  /// there is one, may enter it and read what share() names.
  static Result<TaskFiles> create(io::UniqueFd pool_fd, std::string name, std::optional<gid_t> group);
  /// Opens the directory of a dead task and takes its lock: running if a supervisor holds it, not_found.
  static Result<TaskFiles> take_over(io::UniqueFd pool_fd, pid_t former_id);

  TaskFiles(TaskFiles&&) = default;
  TaskFiles& operator=(TaskFiles&&) = default;

  int directory() const { return directory_.get(); }

  /// Whom a task that was taken over had been shared with.
  void set_group(std::optional<gid_t> group) { group_ = group; }
  /// Lets the group read a file.
  Status share(const char* name) const;

  /// Binds and listens on the endpoint's socket; one that is there from a dead supervisor is replaced
  /// atomically.
  Result<io::UniqueFd> listen(Endpoint endpoint);

  /// From now on SIGIO is sent when something vanishes from the directory (also when a file is replaced).
  /// dnotify (fcntl(2), F_NOTIFY) and not inotify, of which a user has 128 instances only.
  Status watch() const;
  /// Whether the socket that the endpoint listens on is still the one in the directory.
  bool in_place(Endpoint endpoint) const;
  bool has_status() const;
  /// Whether the lock that is held is the one in the directory; makes and takes a new one if there is none.
  Status keep_lock();
  /// Whether the directory itself was removed under us: then nothing can be put back into it.
  bool directory_gone() const;

  /// Gives the directory its name, the task's id. A dead task's directory that has the name is moved aside,
  /// to an id no process can have; anything else there is `exists`.
  Status publish(pid_t id);
  /// Publishes the info document.
  Status write_status(const Json& document);
  Result<Json> read_status() const;
  Status write_launch(std::string_view encoded);
  Result<wire::LaunchSpec> read_launch_spec() const;
  /// Appends a line to the supervisor's log; a log that has grown long is renamed (taskdir::kOldLog).
  void log(std::string_view line);
  /// Whether the pool's file system keeps its files on a disk.
  bool on_disk() const;
  /// Takes the directory out of sight and removes all of it. On failure what can still be seen is whole.
  Status remove();
  /// Whether it has been taken out of sight: nobody can ask for the task any more.
  bool out_of_sight() const { return name_.front() == '.'; }

 private:
  Status make_lock();
  TaskFiles() = default;
  Status open_to_group() const;
  Status move_aside(const std::string& name);

  mode_t shared_mode() const { return group_ ? 0640 : 0600; }

  std::optional<gid_t> group_;
  ino_t sockets_[std::size(kEndpoints)] = {};
  io::UniqueFd pool_;
  io::UniqueFd directory_;
  io::UniqueFd lock_;
  std::string name_;  // current name in the pool
};

}  // namespace bgtask::supervisor
