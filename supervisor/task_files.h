// A task's directory, from its hidden making to its removal. Made whole and renamed into place; renamed away
// and then removed: nobody ever sees half of one.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "protocol/io/unique_fd.h"
#include "protocol/wire/json.h"
#include "protocol/wire/result.h"

namespace bgtask::supervisor {

class TaskFiles {
 public:
  /// Makes a hidden directory in the pool, with the lock file held.
  static Result<TaskFiles> create(io::UniqueFd pool_fd);
  /// Opens the directory of a dead task and takes its lock: running if a supervisor holds it, not_found.
  static Result<TaskFiles> take_over(io::UniqueFd pool_fd, pid_t former_id);

  TaskFiles(TaskFiles&&) = default;
  TaskFiles& operator=(TaskFiles&&) = default;

  int directory() const { return directory_.get(); }

  /// Binds and listens on `socket`; one that is there from a dead supervisor is replaced atomically.
  Result<io::UniqueFd> listen();
  /// Gives the directory its name, the task's id. A dead task's directory that has the name is moved aside,
  /// to an id no process can have; anything else there is `exists`.
  Status publish(pid_t id);
  /// Publishes the info document.
  Status write_status(const Json& document);
  Result<Json> read_status() const;
  Status write_launch(std::string_view encoded);
  Result<std::string> read_launch() const;
  /// Appends a line to the supervisor's log.
  void log(std::string_view line);
  /// Whether the pool's file system keeps its files on a disk.
  bool on_disk() const;
  /// Takes the directory out of sight and removes all of it. On failure what can still be seen is whole.
  Status remove();

 private:
  TaskFiles() = default;
  Status move_aside(const std::string& name);
  bool in_place() const;  // the name still is this directory's

  io::UniqueFd pool_;
  io::UniqueFd directory_;
  io::UniqueFd lock_;
  std::string name_;  // current name in the pool
};

}  // namespace bgtask::supervisor
