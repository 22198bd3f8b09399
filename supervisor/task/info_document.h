// The info document: what `info` answers and what stands in the task's status file.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "protocol/taskdir/status_document.h"
#include "protocol/wire/json.h"
#include "protocol/wire/launch.h"
#include "supervisor/streams/output_streams.h"
#include "supervisor/streams/stdin_queue.h"
#include "supervisor/task/action_log.h"
#include "supervisor/task/current_run.h"
#include "supervisor/task/lifecycle.h"
#include "supervisor/task/task_files.h"
#include "supervisor/task/task_processes.h"

namespace bgtask::supervisor {

/// The supervisor as readers of the document and later adopters know it.
struct SupervisorIdentity {
  pid_t id = 0;
  uint64_t start_ticks = 0;
  std::string boot_id;
  std::vector<pid_t> former_ids;
};

class InfoDocument {
 public:
  /// The parts of the task that the document shows; they must outlive it.
  struct Sources {
    const SupervisorIdentity& identity;
    const wire::LaunchSpec& spec;
    const TaskFiles& files;
    const TaskProcesses& processes;
    const Lifecycle& life;
    const CurrentRun& run;
    const Json& meta;
    const ActionLog& actions;
    const std::unique_ptr<OutputStreams>& output;
    const StdinQueue& stdin_queue;
  };
  explicit InfoDocument(Sources sources) : sources_(sources) {}

  /// For the status file: with the part about supervision, which only adopters need.
  Json published() const;
  /// For a client: with what has to be looked up in /proc.
  Json live(uint64_t clients) const;
  /// The part about one stream.
  Json stream(int stream) const;

 private:
  taskdir::StatusDocument document() const;
  taskdir::Supervision supervision() const;
  std::optional<taskdir::Usage> usage() const;
  taskdir::StdinPart in() const;
  taskdir::StreamPart out(StreamId stream) const;

  Sources sources_;
};

}  // namespace bgtask::supervisor
