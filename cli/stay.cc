#include "cli/stay.h"

#include <csignal>
#include <map>
#include <string>
#include <utility>

#include "cli/console.h"
#include "cli/exit_status.h"
#include "cli/follow.h"
#include "cli/log_printer.h"
#include "cli/sizes_and_times.h"

namespace bgtask::cli {
namespace {

// What a task that is being deleted, or is gone, answers.
bool is_going(const Error& error) {
  return error.code() == "not_found" || error.code() == "lost" || error.code() == "busy";
}

class Stay {
 public:
  Stay(Task& task, const StayOptions& options)
      : task_(task), pid_(std::to_string(task.pid())), options_(options), printer_(style_) {}

  int run() {
    std::optional<OutputOptions> output;
    if (options_.follow) {
      output.emplace();
      output->streams = {"stdout", "stderr"};
      if (options_.take)
        output->streams.push_back("data");  // or a task that says much there would wait for ever
      output->joined = true;
    }
    Follower follower;
    follower.add(
        task_, output, [this](const Output& piece) { return print(piece); },
        [this](Task&, const TaskEnd& end) { end_ = end; });
    if (options_.follow) follower.needs_reader();
    if (options_.forward_stdin) {
      follower.forward_stdin(task_);
    } else if (options_.follow) {
      follower.notice_stdin();
    }
    const auto outcome = follower.run(options_.wait_timeout);
    if (outcome == Follower::Outcome::kReaderGone) reader_gone();
    printer_.finish();
    if (outcome == Follower::Outcome::kTimeout) return gave_up();
    const int status = status_of_end();
    if (options_.remove) remove();
    return status;
  }

  // As any program in a pipe, but what was to be removed is.
  [[noreturn]] void reader_gone() {
    if (options_.remove) remove();
    die_of(SIGPIPE);
  }

 private:
  static LogStyle style_for_terminals() {
    LogStyle style{.split = true};
    style.fit_terminals();
    return style;
  }

  bool print(const Output& output) {
    say_missing(output.lost, output.taken);
    for (const auto& chunk : output.chunks) {
      if (chunk.stream != "data") printer_.take(chunk);
    }
    if (options_.take) take(output);
    return true;
  }

  void take(const Output& output) const {
    std::map<std::string, std::uint64_t> ends;
    for (const auto& chunk : output.chunks)
      ends[chunk.stream] = chunk.offset + (chunk.stream == "data" ? 1 : chunk.data.size());
    try {
      for (const auto& [stream, end] : ends)
        task_.stream(stream).discard(end);
    } catch (const Error& error) {
      if (!is_going(error)) throw;
    }
  }

  int gave_up() const {
    say(pid_ + ": not ended after " + short_duration(options_.wait_timeout->count()) +
        "; it goes on: 'bgtask logs -f " + pid_ + "' shows its output, 'bgtask wait " + pid_ +
        "' waits for its end");
    return kExitTimeout;
  }

  int status_of_end() const {
    if (end_.kind == TaskEnd::Kind::kExited) {
      if (!knows_end(end_.status)) say(pid_ + ": how it ended is not known");
      return exit_status_of(end_.status);
    }
    say(pid_ + ": " + end_.error.what());
    return kExitFailure;
  }

  // Somebody else, or the signal that we were sent, may have done so already.
  void remove() {
    try {
      task_.remove();
    } catch (const Error& error) {
      if (error.code() != "not_found") throw;
    }
  }

  Task& task_;
  const std::string pid_;
  const StayOptions& options_;
  const LogStyle style_ = style_for_terminals();
  LogPrinter printer_;
  TaskEnd end_;
};

}  // namespace

int stay_with(Task& task, const StayOptions& options, Interruption& interruption) {
  const std::string pid = std::to_string(task.pid());
  if (options.remove) {
    interruption.deletes_task(task.pid(), "deleting task " + pid);
    std::signal(SIGPIPE, SIG_IGN);  // told by an exception instead
  } else {
    interruption.leaves_task("task " + pid + " goes on: 'bgtask logs -f " + pid +
                             "' shows its output, 'bgtask stop " + pid + "' ends it");
  }
  Stay stay(task, options);
  try {
    return stay.run();
  } catch (const ReaderGone&) {
    stay.reader_gone();
  } catch (const ConsoleError&) {
    say("task " + pid + " goes on: 'bgtask logs " + pid + "' shows its output");
    throw;
  }
}

}  // namespace bgtask::cli
