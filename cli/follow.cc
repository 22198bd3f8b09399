#include "cli/follow.h"

#include <algorithm>
#include <chrono>

#include "cli/console.h"

namespace bgtask::cli {
namespace {

using Clock = std::chrono::steady_clock;

bool is_gone(const Error& error) {
  return error.code() == "lost" || error.code() == "not_found";
}

enum class Woken { kMore, kEnded, kTimeout };

// Sleeps until there is something after the cursor, or nothing can come any more.
Woken wait_for_more(Task& task, std::uint64_t cursor, std::optional<Seconds> left) {
  try {
    const auto result = task.wait(
        {.for_events = {"output", "exit"}, .cursor = cursor, .timeout = left, .with_status = false});
    if (result.fired == "timeout") return Woken::kTimeout;
    return result.fired == "output" ? Woken::kMore : Woken::kEnded;
  } catch (const Error& error) {
    if (is_gone(error)) return Woken::kEnded;
    throw;
  }
}

// A task deleted under our hands has nothing more to say.
Output read_more(Task& task, const OutputOptions& options, bool started) {
  try {
    return task.output(options);
  } catch (const Error& error) {
    if (!started || !is_gone(error)) throw;
    Output nothing;
    nothing.next = options.cursor;
    nothing.eof = true;
    return nothing;
  }
}

}  // namespace

FollowEnd follow_output(Task& task, OutputOptions options, std::optional<Seconds> timeout,
                        const std::function<bool(const Output&)>& deliver) {
  const auto begin = Clock::now();
  bool ended = false;
  for (bool started = false;; started = true) {
    const Output output = read_more(task, options, started);
    options.cursor = output.next;
    if ((!output.chunks.empty() || output.lost.any()) && !deliver(output)) return FollowEnd::kStopped;
    const auto left =
        timeout ? std::optional<Seconds>(*timeout - Seconds(Clock::now() - begin)) : std::nullopt;
    if (left && left->count() <= 0 && !ended) return FollowEnd::kTimeout;
    if (!output.chunks.empty()) continue;
    if (ended || output.eof) return FollowEnd::kEnded;
    const Woken woken = wait_for_more(task, options.cursor, left);
    if (woken == Woken::kTimeout) return FollowEnd::kTimeout;
    ended = woken == Woken::kEnded;
  }
}

void say_loss(const std::string& stream, std::uint64_t amount) {
  if (amount == 0) return;
  const std::string unit = stream == "data" ? "message" : "byte";
  say(std::to_string(amount) + " " + unit + (amount == 1 ? "" : "s") + " of " + stream +
      (amount == 1 ? " is gone" : " are gone"));
}

void say_loss(const OutputLoss& loss) {
  say_loss("stdout", loss.out);
  say_loss("stderr", loss.err);
  say_loss("data", loss.data);
}

}  // namespace bgtask::cli
