// The parts of one task. Task wires them together; taking over from a dead supervisor sets them up.
#pragma once

#include <functional>
#include <memory>

#include "protocol/io/uv_handles.h"
#include "protocol/wire/json.h"
#include "protocol/wire/launch.h"
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

struct TaskParts {
  struct Listener {
    CurrentRun::Listener run;
    OutputStreams::Listener output;
    std::function<void()> time_is_up;
  };
  TaskParts(io::Loop& the_loop, TaskFiles the_files, wire::LaunchSpec the_spec, Listener the_listener);

  /// Reads the identity and makes the timer of the run-time limit: before everything else.
  Status prepare();
  void use(std::unique_ptr<Rings> rings);
  /// The run's time begins.
  void begin_limit();

  io::Loop& loop;
  TaskFiles files;
  wire::LaunchSpec spec;  // without the environment, which only a start needs
  Listener listener;
  SupervisorIdentity identity;
  Lifecycle life;
  Json meta;
  ActionLog actions;
  std::unique_ptr<OutputStreams> output;
  StdinQueue stdin_queue;
  TaskProcesses processes;
  CurrentRun run;
  Signalling signalling;
  Stopper stopper;
  RunLimit limit;
  InfoDocument document;
  Publisher publisher;
};

}  // namespace bgtask::supervisor
