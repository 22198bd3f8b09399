#include "cli/follow.h"

#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "cli/console.h"

namespace bgtask::cli {
namespace {

using Milliseconds = std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

int milliseconds_until(const std::optional<Clock::time_point>& deadline) {
  if (!deadline) return -1;
  const auto left = std::chrono::ceil<Milliseconds>(*deadline - Clock::now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, 3'600'000));
}

std::optional<Clock::time_point> earlier(std::optional<Clock::time_point> a,
                                         std::optional<Clock::time_point> b) {
  if (!a || !b) return a ? a : b;
  return std::min(*a, *b);
}

}  // namespace

void Follower::add(const Task& task, const std::optional<OutputOptions>& output, Deliver deliver,
                   Ended ended) {
  entries_.push_back({std::move(deliver), std::move(ended)});
  const auto entry = std::prev(entries_.end());
  try {
    entry->id = watch_.add(task, {.exit = true, .output = output},
                           [this, entry](Task& of, const WatchEvent& event) { handle(of, entry, event); });
  } catch (...) {
    entries_.erase(entry);
    throw;
  }
}

void Follower::handle(Task& task, EntryPlace entry, const WatchEvent& event) {
  using Kind = WatchEvent::Kind;
  switch (event.kind) {
    case Kind::kOutput:
      if (!entry->deliver(event.output)) end(task, entry, {.kind = TaskEnd::Kind::kStopped});
      return;
    case Kind::kExit:
      return end(task, entry, {.kind = TaskEnd::Kind::kExited, .status = event.status});
    case Kind::kUnresponsive:
      return say(std::to_string(task.pid()) + ": " + event.error.what() + "; still waiting");
    case Kind::kLost:
      return end(task, entry, {.kind = TaskEnd::Kind::kLost, .status = event.status, .error = event.error});
    case Kind::kRemoved:
    case Kind::kFailed:
      return end(task, entry, {.kind = TaskEnd::Kind::kGone, .error = event.error});
    default:
      return;
  }
}

void Follower::end(Task& task, EntryPlace entry, TaskEnd end) {
  const Ended ended = std::move(entry->ended);
  watch_.remove(entry->id);
  entries_.erase(entry);
  ended(task, end);
}

void Follower::forward_stdin(const Task& task) {
  stdin_.emplace(task);
}

void Follower::notice_stdin() {
  notice_stdin_ = stdin_may_have_data();
}

Follower::Outcome Follower::run(std::optional<Seconds> timeout) {
  std::optional<Clock::time_point> deadline;
  if (timeout) deadline = Clock::now() + std::chrono::duration_cast<Clock::duration>(*timeout);
  while (!watch_.empty()) {
    const bool in_time = wait_once(deadline);
    if (reader_gone_) return Outcome::kReaderGone;
    if (!in_time) return Outcome::kTimeout;
  }
  return Outcome::kAllEnded;
}

// False when the time is up.
bool Follower::wait_once(std::optional<Clock::time_point> deadline) {
  enum : std::size_t { kWatch, kStdout, kStdin, kCount };
  std::array<pollfd, kCount> fds;
  fds[kWatch] = {watch_.descriptor(), POLLIN, 0};
  fds[kStdout] = {needs_reader_ ? STDOUT_FILENO : -1, 0, 0};  // errors are told in any case
  const bool read_stdin = stdin_ ? stdin_->wants_input() : notice_stdin_;
  fds[kStdin] = {read_stdin ? STDIN_FILENO : -1, POLLIN, 0};
  const auto retry = stdin_ ? stdin_->retry_at() : std::nullopt;
  if (::poll(fds.data(), fds.size(), milliseconds_until(earlier(deadline, retry))) < 0) return errno == EINTR;
  if (fds[kWatch].revents != 0) watch_.dispatch();
  reader_gone_ = (fds[kStdout].revents & (POLLERR | POLLHUP)) != 0;
  if (stdin_) {
    stdin_->proceed(fds[kStdin].revents != 0);
  } else if (fds[kStdin].revents != 0) {
    notice_stdin_ = false;
    if (stdin_has_data())
      say("stdin is not passed on to the task, which reads /dev/null; use -i to pass it on");
  }
  return !deadline || Clock::now() < *deadline || watch_.empty();
}

void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

void say_gap(const OutputGap& gap) {
  std::string streams;
  const auto add = [&streams](bool marked, const char* stream) {
    if (marked) streams += (streams.empty() ? "" : ", ") + std::string(stream);
  };
  add(gap.out, "stdout");
  add(gap.err, "stderr");
  add(gap.data, "data");
  if (streams.empty()) return;
  say("more of " + streams + " may be missing: the task ran on for a time after its supervisor had died");
}

void say_missing(const std::string& stream, std::uint64_t lost, std::uint64_t taken) {
  const auto amount_of = [&stream](std::uint64_t amount) {
    const std::string unit = stream == "data" ? "message" : "byte";
    return std::to_string(amount) + " " + unit + (amount == 1 ? "" : "s") + " of " + stream;
  };
  if (taken > 0) say(amount_of(taken) + (taken == 1 ? " has been read already" : " have been read already"));
  if (lost > 0) say(amount_of(lost) + (lost == 1 ? " is gone" : " are gone"));
}

void say_missing(const OutputLoss& lost, const OutputLoss& taken) {
  say_missing("stdout", lost.out, taken.out);
  say_missing("stderr", lost.err, taken.err);
  say_missing("data", lost.data, taken.data);
}

}  // namespace bgtask::cli
