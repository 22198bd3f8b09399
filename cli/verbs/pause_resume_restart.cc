// bgtask pause, resume and restart: one request to each task, and one line about what it did.

#include <string>
#include <vector>

#include "cli/action_report.h"
#include "cli/selector.h"
#include "cli/verb.h"

namespace bgtask::cli {
namespace {

// The whole tree of a task, also what changed session.
class SignalTreeVerb : public Verb {
 public:
  struct Kind {
    std::string verb;
    std::string past;  // "paused"
    std::uint64_t (*act)(Task&);
    std::vector<std::string> examples;
  };
  explicit SignalTreeVerb(Kind kind) : kind_(std::move(kind)) {}

  void declare(Command& command) override {
    command.usage("[TASK…]");
    command.examples(kind_.examples);
    declare_selector(command, selector_);
    report_.declare(command);
  }

  int execute(Session& session, const std::vector<std::string>& positionals) override {
    selector_.words = positionals;
    const int status = for_tasks_at_once(session, selector_, kind_.verb, [this](Task& task) -> Report {
      return [this, pid = task.pid(), count = kind_.act(task)] {
        report_.add(
            {{"pid", pid}, {"signalled", count}},
            kind_.past + " " + count_of(count, "process", "processes") + " of " + std::to_string(pid));
      };
    });
    report_.finish();
    return status;
  }

 private:
  Kind kind_;
  Selector selector_;
  ActionReport report_;
};

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

std::unique_ptr<Verb> make_pause() {
  return std::make_unique<SignalTreeVerb>(
      SignalTreeVerb::Kind{"pause",
                           "paused",
                           [](Task& task) { return task.pause(); },
                           {"bgtask pause web", "bgtask pause -l team=web --state running"}});
}

std::unique_ptr<Verb> make_resume() {
  return std::make_unique<SignalTreeVerb>(
      SignalTreeVerb::Kind{"resume",
                           "resumed",
                           [](Task& task) { return task.resume(); },
                           {"bgtask resume web", "bgtask resume --state paused"}});
}

}  // namespace

VerbEntry pause_verb() {
  return {"pause", "freeze", "stop every process of a task for now", make_pause};
}

VerbEntry resume_verb() {
  return {"resume", "unpause cont thaw", "continue a paused task", make_resume};
}

VerbEntry restart_verb() {
  return {"restart", "", "run an ended task's command again, in place",
          []() -> std::unique_ptr<Verb> { return std::make_unique<RestartVerb>(); }};
}

}  // namespace bgtask::cli
