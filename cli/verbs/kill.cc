// bgtask kill: one signal to tasks.

#include "cli/action_report.h"
#include "cli/selector.h"
#include "cli/usage_error.h"
#include "cli/verb.h"
#include "protocol/wire/signals.h"

namespace bgtask::cli {
namespace {

Scope scope_named(const std::string& name) {
  if (name == "process") return Scope::kProcess;
  return name == "tree" ? Scope::kTree : Scope::kGroup;
}

bool is_number(const std::string& text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
}

int checked_number(const std::string& text) {
  const auto number = is_number(text) && text.size() <= 2 ? std::stoi(text) : 0;
  if (number < 1 || number > 64) throw UsageError("'" + text + "' is not a signal (1 to 64)");
  return number;
}

class KillVerb : public Verb {
 public:
  void declare(Command& command) override {
    command.usage("[TASK…]");
    command.examples({"bgtask kill 4711                  # KILL to its process group",
                      "bgtask kill -s TERM --scope tree web", "bgtask kill -HUP @last",
                      "bgtask kill -s USR1 -l team=web --state running"});
    command.option("-s,--signal", "SIG",
                   "name (TERM, sigterm, RTMIN+3) or number; also -TERM, -9. Default: KILL",
                   [this](const std::string& text) { set_signal(text); });
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
  void set_signal(const std::string& text) {
    if (is_number(text)) {
      signal_ = checked_number(text);
      shown_ = text;
      return;
    }
    const std::optional<int> number = wire::signal_number(std::string_view(text));
    if (!number) throw UsageError("'" + text + "' is not a signal");
    shown_ = wire::signal_name(*number);
    signal_ = *number;
  }

  Report signal(Task& task) {
    return [this, pid = task.pid(), count = task.kill(signal_, scope_named(scope_))] {
      report_.add(
          {{"pid", pid}, {"signal", shown_}, {"signalled", count}},
          "sent " + shown_ + " to " + count_of(count, "process", "processes") + " of " + std::to_string(pid));
    };
  }

  Signal signal_ = std::string("KILL");
  std::string shown_ = "KILL";
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
