// bgtask resume: the whole tree of a task, also what changed session.

#include "cli/action_report.h"
#include "cli/selector.h"
#include "cli/verb.h"

namespace bgtask::cli {
namespace {

class ResumeVerb : public Verb {
 public:
  void declare(Command& command) override {
    command.usage("[TASK…]");
    command.examples({"bgtask resume web", "bgtask resume --state paused"});
    declare_selector(command, selector_);
    report_.declare(command);
  }

  int execute(Session& session, const std::vector<std::string>& positionals) override {
    selector_.words = positionals;
    const int status = for_tasks_at_once(session, selector_, "resume", [this](Task& task) -> Report {
      return [this, pid = task.pid(), count = task.resume()] {
        report_.add({{"pid", pid}, {"signalled", count}},
                    "resumed " + count_of(count, "process", "processes") + " of " + std::to_string(pid));
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

VerbEntry resume_verb() {
  return {"resume", "unpause cont thaw", "continue a paused task",
          []() -> std::unique_ptr<Verb> { return std::make_unique<ResumeVerb>(); }};
}

}  // namespace bgtask::cli
