// bgtask pause: the whole tree of a task, also what changed session.

#include "cli/action_report.h"
#include "cli/selector.h"
#include "cli/verb.h"

namespace bgtask::cli {
namespace {

class PauseVerb : public Verb {
 public:
  void declare(Command& command) override {
    command.usage("[TASK…]");
    command.examples({"bgtask pause web", "bgtask pause -l team=web --state running"});
    declare_selector(command, selector_);
    report_.declare(command);
  }

  int execute(Session& session, const std::vector<std::string>& positionals) override {
    selector_.words = positionals;
    const int status = for_tasks_at_once(session, selector_, "pause", [this](Task& task) -> Report {
      return [this, pid = task.pid(), count = task.pause()] {
        report_.add({{"pid", pid}, {"signalled", count}},
                    "paused " + count_of(count, "process", "processes") + " of " + std::to_string(pid));
      };
    });
    report_.finish();
    return status;
  }

 private:
  Selector selector_;
  ActionReport report_;
};

}  // namespace

VerbEntry pause_verb() {
  return {"pause", "freeze", "stop every process of a task for now",
          []() -> std::unique_ptr<Verb> { return std::make_unique<PauseVerb>(); }};
}

}  // namespace bgtask::cli
