// bgtask gc: remove what is dead.

#include "cli/console.h"
#include "cli/usage_error.h"
#include "cli/verb.h"

namespace bgtask::cli {
namespace {

class GcVerb : public Verb {
 public:
  void declare(Command& command) override {
    command.examples({"bgtask gc                   # prints the pids of the tasks removed"});
  }

  int execute(Session& session, const std::vector<std::string>& positionals) override {
    if (!positionals.empty())
      throw UsageError("gc: it takes no tasks; see 'bgtask delete' and 'bgtask clean'");
    const TaskPool* pool = session.pool_if_there();
    if (pool == nullptr) return 0;
    std::string pids;
    for (const pid_t pid : pool->gc())
      pids += std::to_string(pid) + "\n";
    write_stdout(pids);
    return 0;
  }
};

}  // namespace

VerbEntry gc_verb() {
  return {"gc", "", "remove tasks whose supervisor is dead and whose child is gone",
          []() -> std::unique_ptr<Verb> { return std::make_unique<GcVerb>(); }};
}

}  // namespace bgtask::cli
