// The task a supervisor is in charge of: lets the parts of it work together. Knows nothing of clients; tells
// a listener what happens.
#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "supervisor/processes/child.h"
#include "supervisor/task/task_parts.h"

namespace bgtask::supervisor {

class Task {
 public:
  struct Listener {
    std::function<void()> output;
    std::function<void()> exit;
    std::function<void()> meta;
    std::function<void(StreamId)> stream_end;
    std::function<void(const Status&)> restarted;  ///< the outcome of restart()
  };

  Task(io::Loop& loop, TaskFiles files, wire::LaunchSpec spec, const OriginalProcess& original);

  void set_listener(Listener listener) { listener_ = std::move(listener); }

  // A new task, in the order in which program/startup.cc calls these.
  Status prepare() { return parts_.prepare(); }
  Status make_control_group();
  Status make_rings();
  /// Starts the command: after publication of the directory.
  Status start_command();
  /// Publishes the status: from now on searches show the task. If that fails the command is killed.
  Status publish_started();

  /// Takes over from a dead supervisor: rings, streams of a child that lives, state.
  Status take_over(const taskdir::StatusDocument& published, std::vector<pid_t> former_ids);

  /// Removes its directory.
  Status remove() { return parts_.files.remove(); }
  /// Removes its control group, if it has one: after its directory, without which nobody can start it again.
  /// busy while one of its processes is on its way out.
  Status remove_group() { return parts_.processes.group ? parts_.processes.group->remove() : Status(); }

  /// Begins to run an ended command again: Listener::restarted is told the outcome. Not while alive().
  /// running: descendants of the last run are alive, and `force` is not given. busy: they are being stopped.
  Status restart(bool force);
  /// Whether the exec of a restart is awaited.
  bool starting() const { return parts_.run.starting(); }
  /// Ends every process of the task, see Stopper::stop; the task stays. A restart whose exec is awaited is
  /// given up.
  void stop(const StopPlan& plan, const char* reason, Stopper::Done done);
  bool stopping() const { return parts_.stopper.under_way(); }
  /// Signals; returns how many processes got it. already_exited, not for scope kTree.
  Result<uint64_t> kill(int signal, Scope scope) { return parts_.signalling.kill(signal, scope); }
  /// Stops or continues the tree; returns how many processes were signalled.
  Result<uint64_t> pause(bool pause);
  /// Merges and publishes. bad_argument if the whole becomes too large.
  Result<Json> apply_meta(const Json& patch);
  /// Keeps who did what with the task, and publishes it.
  void note(const Actor& actor, const std::string& action);
  /// Looks at all children that changed state: to be called on SIGCHLD.
  void reap();
  /// Publishes the exit once output is drained; with `whatever_is_left` at once.
  void settle_end(bool whatever_is_left) { parts_.run.settle_end(whatever_is_left); }
  /// After a consumer made room in a ring.
  void room_made(StreamId stream);
  /// Writes the info document where readers find it; tried again later if that fails.
  void publish();

  pid_t id() const { return parts_.identity.id; }
  Json info(uint64_t clients);
  Json stream_info(int stream) const { return parts_.document.stream(stream); }
  Json status() const { return taskdir::encode(parts_.life.status()); }
  const Json& meta() const { return parts_.meta; }
  /// How often the command was started.
  uint64_t runs() const { return parts_.life.runs(); }
  /// The command runs, or its end is not told yet, or its exec is awaited.
  bool alive() const { return parts_.life.alive(); }
  bool exited() const { return parts_.life.state() == State::kExited; }
  std::optional<pid_t> child() const { return parts_.life.child(); }
  /// Of its control group; "" without one.
  std::string group_path() const { return parts_.processes.group_path(); }

  OutputStreams& output() { return *parts_.output; }
  StdinQueue& stdin_queue() { return parts_.stdin_queue; }
  ProcessTree& tree() { return parts_.processes.tree; }
  TaskFiles& files() { return parts_.files; }
  const wire::LaunchSpec& spec() const { return parts_.spec; }

 private:
  TaskParts::Listener parts_listener();
  void time_is_up();

  OriginalProcess original_;
  Listener listener_;
  TaskParts parts_;
};

}  // namespace bgtask::supervisor
