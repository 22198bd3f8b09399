// bgtask restart: an ended task's command again, in the same task.

#include "cli/action_report.h"
#include "cli/selector.h"
#include "cli/verb.h"

namespace bgtask::cli {
namespace {

class RestartVerb : public Verb {
 public:
  void declare(Command& command) override {
    command.usage("[TASK…]");
    command.examples({"bgtask restart web", "bgtask stop web && bgtask restart web"});
    command.flag("--force", "also beside descendants of the last run that are alive", &options_.force);
    declare_selector(command, selector_);
    report_.declare(command);
  }

  int execute(Session& session, const std::vector<std::string>& positionals) override {
    selector_.words = positionals;
    const int status = for_tasks_at_once(session, selector_, "restart", [this](Task& task) -> Report {
      return [this, pid = task.pid(), restarted = task.restart(options_)] {
        const std::string name = std::to_string(pid);
        report_.add({{"pid", pid}, {"restarted", restarted}},
                    restarted ? "restarted " + name : name + " is still running, nothing done");
      };
    });
    report_.finish();
    return status;
  }

 private:
  RestartOptions options_;
  Selector selector_;
  ActionReport report_;
};

}  // namespace

VerbEntry restart_verb() {
  return {"restart", "", "run an ended task's command again, in place",
          []() -> std::unique_ptr<Verb> { return std::make_unique<RestartVerb>(); }};
}

}  // namespace bgtask::cli
