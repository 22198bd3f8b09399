// Incremental reading over all streams of a task.
#pragma once

#include <bgtask/task.h>

#include <cstdint>
#include <memory>
#include <optional>

#include "client/src/ring_reading.h"
#include "client/src/task_core.h"
#include "protocol/wire/result.h"

namespace bgtask {

/// Reads from the ring files where there are some, else through the supervisor; the results are the
/// same, but that only files are read in joined pieces.
class OutputSource {
 public:
  /// Of the options only which output and how it comes; from where is said to read. bad_argument for unknown
  /// streams.
  static Result<OutputSource> open(TaskCore& task, const OutputOptions& options);

  /// Until `max_bytes` are reached (softly) or there is no more.
  Result<Output> read(std::uint64_t cursor, std::uint64_t max_bytes,
                      const std::optional<OutputOffsets>& offsets = {});
  /// What may be missing besides, once all there is has been read.
  OutputGap gap() const;
  /// Whether a glance tells that there is nothing at the cursor yet, but may be later.
  bool must_wait(std::uint64_t cursor) const;

 private:
  OutputSource(TaskCore& task, std::uint32_t mask, ring::Pieces pieces)
      : task_(&task), mask_(mask), pieces_(pieces) {}
  Result<Output> read_once(std::uint64_t cursor, std::uint64_t max_bytes,
                           const std::optional<OutputOffsets>& offsets);
  Output read_files(std::uint64_t cursor, std::uint64_t max_bytes,
                    const std::optional<OutputOffsets>& offsets);

  TaskCore* task_;
  std::uint32_t mask_;
  ring::Pieces pieces_;
  ring::Tail tail_ = ring::Tail::kAwaited;
  std::shared_ptr<const OutputRings> rings_;  // none where they are not files
};

}  // namespace bgtask
