// bgtask stop: TERM to the tree, KILL after a time; the task and its output stay.

#include <chrono>
#include <thread>

#include "cli/action_report.h"
#include "cli/selector.h"
#include "cli/sizes_and_times.h"
#include "cli/verb.h"

namespace bgtask::cli {
namespace {

using Clock = std::chrono::steady_clock;

class StopVerb : public Verb {
 public:
  void declare(Command& command) override {
    command.usage("[TASK…]");
    command.examples({"bgtask stop web            # TERM, and KILL after 10 seconds",
                      "bgtask stop -t 500ms 4711 4712", "bgtask stop -l team=web --state running"});
    command.option("-t,--time", "TIME", "between TERM and KILL (default: 10s)",
                   [this](const std::string& text) { grace_ = Seconds(parse_duration(text)); });
    declare_selector(command, selector_);
    report_.declare(command);
  }

  int execute(Session& session, const std::vector<std::string>& positionals) override {
    selector_.words = positionals;
    const int status =
        for_tasks_at_once(session, selector_, "stop", [this](Task& task) { return stop(task); });
    report_.finish();
    return status;
  }

 private:
  // Signals the tree; 0 if all of it has ended already.
  static std::uint64_t signal_tree(Task& task, const char* signal) {
    try {
      return task.kill(signal, Scope::kTree);
    } catch (const Error& error) {
      if (error.code() == "already_exited") return 0;
      throw;
    }
  }

  static bool has_ended(Task& task) {
    const Json& info = task.info(true);
    return !info.at("status").value("running", false) && info.value("descendants", 0) == 0;
  }

  // The supervisor tells when the child ends; descendants that outlive it can only be looked for.
  static bool wait_for_tree(Task& task, Seconds time) {
    const auto deadline = Clock::now() + std::chrono::duration_cast<Clock::duration>(time);
    if (task.wait({.timeout = time}).fired == "timeout") return has_ended(task);
    while (!has_ended(task)) {
      if (Clock::now() >= deadline) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return true;
  }

  Report stop(Task& task) {
    const auto signalled = signal_tree(task, "TERM");
    std::uint64_t killed = 0;
    if (signalled > 0 && !wait_for_tree(task, grace_)) {
      killed = signal_tree(task, "KILL");
      wait_for_tree(task, kAfterKill);
    }
    return [this, pid = task.pid(), signalled, killed] {
      report_.add({{"pid", pid}, {"signalled", signalled}, {"killed", killed}},
                  words(pid, signalled, killed));
    };
  }

  static std::string words(pid_t id, std::uint64_t signalled, std::uint64_t killed) {
    const std::string pid = std::to_string(id);
    if (signalled == 0) return pid + " has ended already";
    const std::string sent = "sent TERM to " + count_of(signalled, "process", "processes") + " of " + pid;
    return killed == 0 ? sent : sent + ", then KILL to " + std::to_string(killed);
  }

  static constexpr Seconds kAfterKill{5};  // a killed process may be held up in the kernel
  Seconds grace_{10};
  Selector selector_;
  ActionReport report_;
};

}  // namespace

VerbEntry stop_verb() {
  return {"stop", "", "TERM, and KILL after a time; the task stays",
          []() -> std::unique_ptr<Verb> { return std::make_unique<StopVerb>(); }};
}

}  // namespace bgtask::cli
