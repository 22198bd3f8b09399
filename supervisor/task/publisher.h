// Keeps the task's status file up to date.
#pragma once

#include "protocol/io/uv_handles.h"
#include "supervisor/task/info_document.h"
#include "supervisor/task/task_files.h"

namespace bgtask::supervisor {

class Publisher {
 public:
  /// All of them must outlive it.
  Publisher(io::Loop& loop, TaskFiles& files, const InfoDocument& document)
      : loop_(loop), files_(files), document_(document) {}

  /// Writes the status file; tries again later if that fails.
  void publish();
  /// Writes it once.
  Status write() { return files_.write_status(document_.published()); }

 private:
  io::Loop& loop_;
  TaskFiles& files_;
  const InfoDocument& document_;
  io::Timer retry_;
};

}  // namespace bgtask::supervisor
