// bgtask wait: until tasks end, or say something.

#include <algorithm>
#include <chrono>
#include <functional>
#include <set>

#include "cli/action_report.h"
#include "cli/console.h"
#include "cli/exit_status.h"
#include "cli/follow.h"
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
    selector_.one_per_name = true;
    if (!events_.empty()) options_.for_events = events_;
    Selection selection = select_some(session, selector_, "wait");
    const auto statuses = only_for_exit() ? wait_for_ends(selection.tasks) : wait_in_turn(selection.tasks);
    report_.finish();
    if (!selection.complete) return kExitFailure;
    const auto first = std::find_if(statuses.begin(), statuses.end(), [](int status) { return status != 0; });
    return first == statuses.end() ? 0 : *first;
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

  bool only_for_exit() const {
    return std::all_of(options_.for_events.begin(), options_.for_events.end(),
                       [](const std::string& event) { return event == "exit"; });
  }

  // All at the same time: also one that is deleted while another is waited for has its end told. Where there
  // are more than descriptors, the rest follow as others end.
  std::vector<int> wait_for_ends(std::vector<Task>& tasks) {
    std::vector<int> statuses(tasks.size(), kExitTimeout);
    if (tasks.size() > kFewTasks) raise_descriptor_limit();
    Follower follower;
    std::size_t added = 0;
    std::function<void()> add_more = [&] {
      while (added < tasks.size() && add(follower, tasks[added], statuses[added], add_more))
        ++added;
    };
    add_more();
    follower.run(timeout_);
    for (std::size_t i = 0; i < tasks.size(); ++i) {
      if (statuses[i] == kExitTimeout && !told_.contains(tasks[i].pid())) tell_timeout(tasks[i]);
    }
    return statuses;
  }

  bool add(Follower& follower, const Task& task, int& status, const std::function<void()>& add_more) {
    try {
      follower.add(task, std::nullopt, nullptr, [this, &status, &add_more](Task& of, const TaskEnd& end) {
        status = tell_end(of, end);
        told_.insert(of.pid());
        add_more();
      });
      return true;
    } catch (const Error& error) {
      if (error.code() != "too_many_files" || follower.empty()) throw;
      return false;
    }
  }

  int tell_end(Task& task, const TaskEnd& end) {
    if (end.kind != TaskEnd::Kind::kExited) {
      say_failure(task.pid(), end.error);
      return kExitFailure;
    }
    if (report_.as_json())
      report(task.pid(), {.fired = "exit", .next = next_cursor(task), .status = end.status});
    return status_of_end(task.pid(), end.status);
  }

  static std::uint64_t next_cursor(Task& task) {
    try {
      return task.wait({.timeout = Seconds(0), .with_status = false}).next;
    } catch (const Error&) {
      return 0;  // it is being deleted: nothing comes after
    }
  }

  std::vector<int> wait_in_turn(std::vector<Task>& tasks) {
    std::vector<int> statuses;
    const auto begin = Clock::now();
    for (Task& selected : tasks) {
      Task task =
          std::move(selected);  // its connection ends with it: thousands would be more than may be open
      if (timeout_) options_.timeout = std::max(Seconds(0), *timeout_ - Seconds(Clock::now() - begin));
      try {
        statuses.push_back(wait(task));
      } catch (const Error& error) {
        say_failure(task.pid(), error);
        statuses.push_back(kExitFailure);
      }
    }
    return statuses;
  }

  int wait(Task& task) {
    const auto result = task.wait(options_);
    if (result.fired == "timeout") return tell_timeout(task);
    if (report_.as_json()) report(task.pid(), result);
    return result.fired == "exit" ? status_of_end(task.pid(), result.status) : 0;
  }

  int tell_timeout(const Task& task) {
    if (report_.as_json())
      report(task.pid(), {.fired = "timeout", .next = options_.cursor, .status = nullptr});
    say(std::to_string(task.pid()) + ": not ended after " + short_duration(timeout_->count()) +
        ", it goes on");
    return kExitTimeout;
  }

  static int status_of_end(pid_t pid, const Json& status) {
    if (!knows_end(status)) say(std::to_string(pid) + ": how it ended is not known");
    return exit_status_of(status);
  }

  void report(pid_t pid, const WaitResult& result) {
    report_.add({{"pid", pid}, {"fired", result.fired}, {"next", result.next}, {"status", result.status}},
                "");
  }

  static constexpr std::size_t kFewTasks = 64;  // whose descriptors fit under any limit

  WaitOptions options_;
  std::optional<Seconds> timeout_;
  std::vector<std::string> events_;
  std::set<pid_t> told_;
  Selector selector_;
  ActionReport report_;
};

}  // namespace

VerbEntry wait_verb() {
  return {"wait", "", "wait for tasks to end; exits with the task's own status",
          []() -> std::unique_ptr<Verb> { return std::make_unique<WaitVerb>(); }};
}

}  // namespace bgtask::cli
