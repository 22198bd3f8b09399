// bgtask stop: asks the tree to end, KILL after a time; the task and its output stay.

#include <optional>
#include <string>

#include "cli/action_report.h"
#include "cli/selector.h"
#include "cli/sizes_and_times.h"
#include "cli/verb.h"

namespace bgtask::cli {
namespace {

class StopVerb : public Verb {
 public:
  void declare(Command& command) override {
    command.usage("[TASK…]");
    command.examples({"bgtask stop web            # TERM, and KILL after 10 seconds",
                      "bgtask stop -t 500ms 4711 4712", "bgtask stop -l team=web --state running"});
    command.option("-t,--time", "TIME",
                   "between the stop signal and KILL (default: 10s, or that of the task)",
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
  Report stop(Task& task) {
    const std::string signal = task.published({"stop_signal"}).value("stop_signal", "TERM");
    return [this, pid = task.pid(), signal, receipt = task.stop({.grace = grace_})] {
      report_.add({{"pid", pid},
                   {"signalled", receipt.signalled},
                   {"exited", receipt.exited},
                   {"killed", receipt.killed}},
                  words(pid, signal, receipt));
    };
  }

  static std::string words(pid_t id, const std::string& signal, const StopReceipt& receipt) {
    const std::string pid = std::to_string(id);
    if (receipt.signalled == 0 && receipt.killed == 0) return pid + " has ended already";
    const std::string sent =
        "sent " + signal + " to " + count_of(receipt.signalled, "process", "processes") + " of " + pid;
    return receipt.killed == 0 ? sent : sent + ", then KILL to " + std::to_string(receipt.killed);
  }

  std::optional<Seconds> grace_;
  Selector selector_;
  ActionReport report_;
};

}  // namespace

VerbEntry stop_verb() {
  return {"stop", "", "TERM, and KILL after a time; the task stays",
          []() -> std::unique_ptr<Verb> { return std::make_unique<StopVerb>(); }};
}

}  // namespace bgtask::cli
