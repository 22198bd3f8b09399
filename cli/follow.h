// Output as it comes, with a deadline, until the task ends.
#pragma once

#include <bgtask/task.h>

#include <functional>
#include <optional>

namespace bgtask::cli {

enum class FollowEnd {
  kEnded,    ///< the task has ended, or its supervisor died, or it was deleted; all there was has been
             ///< delivered
  kTimeout,  ///< the time was up
  kStopped,  ///< the callback returned false
};

/// Hands the output from `options.cursor` on to `deliver`, then more as it comes. Ends with the task, also
/// where a grandchild still holds a pipe (Task::follow would go on). Between pieces it sleeps in `wait`, it
/// does not poll. Takes nothing. \throws bgtask::Error if the task cannot be reached to begin with
FollowEnd follow_output(Task& task, OutputOptions options, std::optional<Seconds> timeout,
                        const std::function<bool(const Output&)>& deliver);

/// "123 bytes of stdout are gone" on stderr, for each stream that lost something.
void say_loss(const OutputLoss& loss);
/// The same for one stream.
void say_loss(const std::string& stream, std::uint64_t amount);

}  // namespace bgtask::cli
