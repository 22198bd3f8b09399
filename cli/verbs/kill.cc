// bgtask kill: one signal to tasks.

#include <csignal>

#include "cli/action_report.h"
#include "cli/selector.h"
#include "cli/sizes_and_times.h"
#include "cli/usage_error.h"
#include "cli/verb.h"
#include "protocol/wire/signals.h"

namespace bgtask::cli {
namespace {

Scope scope_named(const std::string& name) {
  if (name == "process") return Scope::kProcess;
  return name == "tree" ? Scope::kTree : Scope::kGroup;
}

// A number, or a name in any case.
int parse_signal(const std::string& text) {
  const bool number =
      !text.empty() && text.front() != '0' && text.find_first_not_of("0123456789") == std::string::npos;
  const auto signal =
      number ? wire::signal_number(Json(parse_count(text))) : wire::signal_number(std::string_view(text));
  if (!signal) throw UsageError("'" + text + "' is not a signal (a name such as TERM, or 1 to 64)");
  return *signal;
}

class KillVerb : public Verb {
 public:
  void declare(Command& command) override {
    command.usage("[TASK…]");
    command.examples({"bgtask kill 4711                  # KILL to its process group",
                      "bgtask kill -s TERM --scope tree web", "bgtask kill -HUP @last",
                      "bgtask kill -s USR1 -l team=web --state running"});
    command.option("-s,--signal", "SIG",
                   "name (TERM, SIGTERM, term, RTMIN+3) or number; also -TERM, -9. Default: KILL",
                   [this](const std::string& text) { signal_ = parse_signal(text); });
    command.choice("--scope", {"process", "group", "tree"},
                   "the child, its process group (default), or it and all its descendants", &scope_);
    declare_selector(command, selector_);
    report_.declare(command);
  }

  int execute(Session& session, const std::vector<std::string>& positionals) override {
    selector_.words = positionals;
    const int status =
        for_tasks_at_once(session, selector_, "kill", [this](Task& task) { return signal(task); });
    report_.finish();
    return status;
  }

 private:
  Report signal(Task& task) {
    return [this, pid = task.pid(), count = task.kill(signal_, scope_named(scope_))] {
      const std::string name = wire::signal_name(signal_);
      report_.add(
          {{"pid", pid}, {"signal", name}, {"signalled", count}},
          "sent " + name + " to " + count_of(count, "process", "processes") + " of " + std::to_string(pid));
    };
  }

  int signal_ = SIGKILL;
  std::string scope_ = "group";
  Selector selector_;
  ActionReport report_;
};

}  // namespace

VerbEntry kill_verb() {
  return {"kill", "signal", "send a signal (KILL unless told otherwise)",
          []() -> std::unique_ptr<Verb> { return std::make_unique<KillVerb>(); }};
}

}  // namespace bgtask::cli
