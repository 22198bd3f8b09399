// bgtask clean: delete the tasks that have ended.

#include "cli/console.h"
#include "cli/exit_status.h"
#include "cli/selector.h"
#include "cli/verb.h"

namespace bgtask::cli {
namespace {

class CleanVerb : public Verb {
 public:
  void declare(Command& command) override {
    command.usage("[TASK…]");
    command.examples(
        {"bgtask clean                # prints the pids of the tasks deleted", "bgtask clean -l team=web"});
    declare_selector(command, selector_);
  }

  int execute(Session& session, const std::vector<std::string>& positionals) override {
    selector_.words = positionals;
    Selection selection = select(session, selector_);
    int status = selection.complete ? 0 : kExitFailure;
    for (Task& task : selection.tasks) {
      try {
        remove_if_ended(task);
      } catch (const Error& error) {
        say_failure(task.pid(), error);
        status = kExitFailure;
      }
    }
    return status;
  }

 private:
  static void remove_if_ended(Task& task) {
    const Json info = task.snapshot();
    const pid_t pid = task.pid();
    if (info.at("status").value("running", true)) return;
    task.remove();
    write_stdout(std::to_string(pid) + "\n");
  }

  Selector selector_;
};

}  // namespace

VerbEntry clean_verb() {
  return {"clean", "prune", "delete the tasks that have ended, with their output",
          []() -> std::unique_ptr<Verb> { return std::make_unique<CleanVerb>(); }};
}

}  // namespace bgtask::cli
