// bgtask clean: delete the tasks that have ended.

#include <cstdint>

#include "cli/action_report.h"
#include "cli/console.h"
#include "cli/exit_status.h"
#include "cli/selector.h"
#include "cli/verb.h"
#include "pool/src/task_processes.h"

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
        clean(task);
      } catch (const Error& error) {
        say_failure(task.pid(), error);
        status = kExitFailure;
      }
    }
    return status;
  }

 private:
  // Deletes the task if it has ended: a delete would end the processes that its command left behind.
  void clean(Task& task) {
    const Json published = task.snapshot();
    const pid_t pid = task.pid();
    if (runs(published)) return;
    if (const std::uint64_t left = live_processes(task, published); left > 0) {
      say(std::to_string(pid) + " has exited, but " + count_of(left, "process", "processes") +
          " of it still " + (left == 1 ? "runs" : "run") + ": kept");
      return;
    }
    task.remove();
    write_stdout(std::to_string(pid) + "\n");
  }

  // Null, "nobody knows", counts as running.
  static bool runs(const Json& info) { return info.at("status").at("running") != false; }

  // The supervisor knows best; that of a lost task cannot be asked.
  std::uint64_t live_processes(Task& task, const Json& published) {
    if (published.at("status").at("state") == "lost") return processes_.of(task, published).size();
    const Json& info = task.info(true);
    return info.value("descendants", std::uint64_t{0}) + (runs(info) ? 1 : 0);  // restarted meanwhile
  }

  TaskProcesses processes_;
  Selector selector_;
};

}  // namespace

VerbEntry clean_verb() {
  return {"clean", "prune", "delete the tasks that have ended, with their output",
          []() -> std::unique_ptr<Verb> { return std::make_unique<CleanVerb>(); }};
}

}  // namespace bgtask::cli
