// Output as it comes, until a limit, a deadline, or the end of the task or of the reader.
#pragma once

#include <bgtask/task.h>

#include <cstdint>
#include <functional>
#include <optional>

#include "client/src/task_core.h"
#include "protocol/wire/result.h"

namespace bgtask {

/// See Task::follow.
Result<FollowResult> follow_output(TaskCore& task, const FollowOptions& options,
                                   const std::function<bool(const Output&)>& callback);

/// How many lines and bytes may still be handed over.
class FollowLimits {
 public:
  FollowLimits(std::optional<std::uint64_t> lines, std::optional<std::uint64_t> bytes)
      : lines_(lines), bytes_(bytes) {}

  bool reached() const { return lines_ == 0 || bytes_ == 0; }
  /// Takes off what is beyond the limits; `next` and `offsets` are then where it begins. A message is never
  /// cut.
  void cut(Output& output);

 private:
  std::size_t admitted(const OutputChunk& chunk);

  std::optional<std::uint64_t> lines_;
  std::optional<std::uint64_t> bytes_;
};

}  // namespace bgtask
