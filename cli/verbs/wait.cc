// bgtask wait: until tasks end, or say something.

#include <algorithm>
#include <chrono>

#include "cli/action_report.h"
#include "cli/console.h"
#include "cli/exit_status.h"
#include "cli/selector.h"
#include "cli/sizes_and_times.h"
#include "cli/usage_error.h"
#include "cli/verb.h"

namespace bgtask::cli {
namespace {

using Clock = std::chrono::steady_clock;

class WaitVerb : public Verb {
 public:
  void declare(Command& command) override {
    command.usage("[TASK…]");
    command.examples({"bgtask wait 4711; echo $?         # the task's own exit status",
                      "bgtask wait --timeout 10m web || echo \"status $?\"  # 124: not ended in ten minutes",
                      "bgtask wait --for output --after 17 4711", "bgtask wait -l team=web"});
    command.options("--for", "EVENT",
                    "exit (default), output or eof; several with commas: the first to happen",
                    [this](const std::string& text) { add_events(text); });
    command.option("--timeout", "TIME", "give up after so long, with status 124",
                   [this](const std::string& text) { timeout_ = Seconds(parse_duration(text)); });
    command.option("--after", "CURSOR",
                   "for output: only what comes from this cursor on counts (default: any)",
                   [this](const std::string& text) { options_.cursor = parse_count(text); });
    declare_selector(command, selector_);
    report_.declare(command);
  }

  int execute(Session& session, const std::vector<std::string>& positionals) override {
    selector_.words = positionals;
    if (!events_.empty()) options_.for_events = events_;
    begin_ = Clock::now();
    int first = 0;
    const int failure = for_each_task(session, selector_, "wait", [&](Task& task) {
      const int status = wait(task);
      if (first == 0) first = status;
    });
    report_.finish();
    return first != 0 ? first : failure;
  }

 private:
  void add_events(const std::string& text) {
    for (std::size_t begin = 0; begin <= text.size();) {
      const auto end = std::min(text.find(',', begin), text.size());
      const std::string event = text.substr(begin, end - begin);
      if (event != "exit" && event != "output" && event != "eof") {
        throw UsageError("'" + event + "' is not exit, output or eof");
      }
      events_.push_back(event);
      begin = end + 1;
    }
  }

  int wait(Task& task) {
    if (timeout_) options_.timeout = std::max(Seconds(0), *timeout_ - Seconds(Clock::now() - begin_));
    const auto result = task.wait(options_);
    if (report_.as_json()) {
      report_.add(
          {{"pid", task.pid()}, {"fired", result.fired}, {"next", result.next}, {"status", result.status}},
          "");
    }
    if (result.fired == "timeout") {
      say(std::to_string(task.pid()) + ": the time is up");
      return kExitTimeout;
    }
    if (result.fired == "exit" && exit_status_of(result.status) == kExitFailure &&
        !knows_end(result.status)) {
      say(std::to_string(task.pid()) + ": how it ended is not known");
    }
    return result.fired == "exit" ? exit_status_of(result.status) : 0;
  }

  static bool knows_end(const Json& status) {
    return !status.value("exit_code", Json()).is_null() || !status.value("signal", Json()).is_null();
  }

  WaitOptions options_;
  std::optional<Seconds> timeout_;
  std::vector<std::string> events_;
  Clock::time_point begin_;
  Selector selector_;
  ActionReport report_;
};

}  // namespace

VerbEntry wait_verb() {
  return {"wait", "", "wait for tasks to end; exits with the task's own status",
          []() -> std::unique_ptr<Verb> { return std::make_unique<WaitVerb>(); }};
}

}  // namespace bgtask::cli
