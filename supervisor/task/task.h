// The task a supervisor is in charge of: wires its command, streams, metadata, state and files together.
// Knows nothing of clients; tells a listener what happens.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "protocol/io/uv_handles.h"
#include "protocol/wire/launch.h"
#include "protocol/wire/messages.h"
#include "supervisor/processes/child.h"
#include "supervisor/streams/output_streams.h"
#include "supervisor/streams/stdin_queue.h"
#include "supervisor/task/action_log.h"
#include "supervisor/task/current_run.h"
#include "supervisor/task/info_document.h"
#include "supervisor/task/lifecycle.h"
#include "supervisor/task/publisher.h"
#include "supervisor/task/run_limit.h"
#include "supervisor/task/signalling.h"
#include "supervisor/task/stopper.h"
#include "supervisor/task/task_files.h"
#include "supervisor/task/task_processes.h"

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

  /// Makes the control group and the rings. Before publication.
  Status prepare();
  /// Of its control group; "" without one.
  std::string group_path() const { return processes_.group_path(); }
  /// Removes its directory.
  Status remove() { return files_.remove(); }
  /// Removes its control group, if it has one: after its directory, without which nobody can start it again.
  /// busy while one of its processes is on its way out.
  Status remove_group() { return processes_.group ? processes_.group->remove() : Status(); }
  /// Starts the command and publishes the status. After publication of the directory.
  Status start();
  /// Takes over from a dead supervisor: rings, streams of a child that lives, state.
  Status take_over(const Json& published, std::vector<pid_t> former_ids);

  /// Begins to run an ended command again: Listener::restarted is told the outcome. Not while alive().
  /// running: descendants of the last run are alive, and `force` is not given. busy: they are being stopped.
  Status restart(bool force);
  /// Whether the exec of a restart is awaited.
  bool starting() const { return run_.starting(); }
  /// Ends every process of the task, see Stopper::stop; the task stays. A restart whose exec is awaited is
  /// given up.
  void stop(const StopPlan& plan, const char* reason, Stopper::Done done);
  bool stopping() const { return stopper_.under_way(); }
  /// Signals; returns how many processes got it. already_exited, not for scope kTree.
  Result<uint64_t> kill(int signal, Scope scope) { return signalling_.kill(signal, scope); }
  /// Stops or continues the tree; returns how many processes were signalled.
  Result<uint64_t> pause(bool pause);
  /// Merges and publishes. bad_argument if the whole becomes too large.
  Result<Json> apply_meta(const Json& patch);

  /// Keeps who did what with the task, and publishes it.
  void note(const Actor& actor, const std::string& action);

  /// Looks at all children that changed state: to be called on SIGCHLD.
  void reap();

  Json info(uint64_t clients);
  Json stream_info(int stream) const { return document_.stream(stream); }
  Json status() const { return life_.status(); }
  const Json& meta() const { return meta_; }
  /// How often the command was started.
  uint64_t runs() const { return life_.runs(); }
  /// The command runs, or its end is not told yet, or its exec is awaited.
  bool alive() const { return life_.alive(); }
  bool exited() const { return life_.state() == State::kExited; }
  /// The command has ended; that is told (exited()) once its last output is in.
  bool child_gone() const { return !life_.child(); }
  /// Tells the end if nothing stands in its way any more, or in any case.
  void settle_end(bool whatever_is_left) { run_.settle_end(whatever_is_left); }
  /// After a consumer made room in a ring.
  void room_made(StreamId stream);
  pid_t id() const { return identity_.id; }
  std::optional<pid_t> child() const { return life_.child(); }
  /// Writes the info document where readers find it; tried again later if that fails.
  void publish();

  OutputStreams& output() { return *output_; }
  StdinQueue& stdin_queue() { return stdin_; }
  ProcessTree& tree() { return processes_.tree; }
  TaskFiles& files() { return files_; }
  const wire::LaunchSpec& spec() const { return spec_; }

 private:
  void use(std::unique_ptr<Rings> rings);
  Status read_boot_id();
  Status prepare_limit();
  void begin_limit();
  void time_is_up();
  Status none_left_of_last_run() const;
  Result<wire::LaunchSpec> read_launch_spec() const;
  io::UniqueFd lock_again();
  void reattach_streams(const Json& published);

  io::Loop& loop_;
  TaskFiles files_;
  wire::LaunchSpec spec_;  // without the environment, which only a start needs
  OriginalProcess original_;
  Listener listener_;
  SupervisorIdentity identity_;
  Lifecycle life_;
  Json meta_;
  ActionLog actions_;
  std::unique_ptr<OutputStreams> output_;
  StdinQueue stdin_;
  TaskProcesses processes_;
  CurrentRun run_;
  Signalling signalling_;
  Stopper stopper_;
  RunLimit limit_;
  InfoDocument document_;
  Publisher publisher_;
};

}  // namespace bgtask::supervisor
