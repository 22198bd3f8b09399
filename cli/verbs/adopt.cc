// bgtask adopt: a new supervisor for a task whose supervisor died.

#include "cli/console.h"
#include "cli/selector.h"
#include "cli/verb.h"

namespace bgtask::cli {
namespace {

class AdoptVerb : public Verb {
 public:
  void declare(Command& command) override {
    command.usage("[TASK…]");
    command.examples(
        {"bgtask adopt 4711           # prints the task's new pid", "bgtask adopt --state lost"});
    declare_selector(command, selector_);
  }

  int execute(Session& session, const std::vector<std::string>& positionals) override {
    selector_.words = positionals;
    return for_each_task(session, selector_, "adopt", [&session](Task& task) {
      const Task adopted = session.pool().adopt(task.pid());
      write_stdout(std::to_string(adopted.pid()) + "\n");
    });
  }

 private:
  Selector selector_;
};

}  // namespace

VerbEntry adopt_verb() {
  return {"adopt", "", "put a new supervisor in charge of a lost task",
          []() -> std::unique_ptr<Verb> { return std::make_unique<AdoptVerb>(); }};
}

}  // namespace bgtask::cli
