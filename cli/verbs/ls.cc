// bgtask ls: the tasks of a pool.

#include <chrono>
#include <utility>

#include "cli/console.h"
#include "cli/escaping.h"
#include "cli/exit_status.h"
#include "cli/output_format.h"
#include "cli/selector.h"
#include "cli/task_table.h"
#include "cli/verb.h"

namespace bgtask::cli {
namespace {

class LsVerb : public Verb {
 public:
  void declare(Command& command) override {
    command.usage("[TASK…]");
    command.examples({"bgtask ls", "bgtask ls -o wide --state running", "bgtask ls -q -l team=web,env!=test",
                      "bgtask ls -o json --where '{\"status\": {\"exit_code\": 1}}'",
                      "bgtask ls --where status.running=1 -o jsonl"});
    declare_selector(command, selector_);
    command.choice(
        "-o,--output", {"table", "wide", "json", "jsonl", "name"},
        "table (default); wide: more columns; json: an array; jsonl: a document a line; name: names, pids "
        "for those without",
        &format_);
    command.flag("-q,--quiet", "pids only", &quiet_);
    command.flag("--no-header", "a table without its first line", &no_header_);
  }

  int execute(Session& session, const std::vector<std::string>& positionals) override {
    selector_.words = positionals;
    Selection selection = select(session, selector_);
    write_stdout(text(selection.tasks));
    return selection.complete ? 0 : kExitFailure;
  }

 private:
  // What is on disk, so that no supervisor, slow or stopped, can hold a list up; and no more of it than is
  // shown.
  std::vector<std::string> members() const {
    if (quiet_) return {"pid"};
    if (format_ == "name") return {"pid", "meta"};
    if (format_ == "table") return {"pid", "meta", "status", "started_at", "ended_at", "command"};
    return {};
  }

  std::string text(const std::vector<Task>& tasks) const {
    if (quiet_) return lines(tasks, [](const Json& info) { return plain_text(info.at("pid")); });
    if (format_ == "name") return lines(tasks, name_or_pid);
    if (format_ == "jsonl") return lines(tasks, json_line);
    if (format_ == "json") {
      Json all = Json::array();
      for_each(tasks, [&](Json info) { all.push_back(std::move(info)); });
      return json_text(all) + "\n";
    }
    const double now =
        std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
    const bool wide = format_ == "wide";
    std::vector<std::vector<Cell>> rows;
    for_each(tasks, [&](const Json& info) { rows.push_back(task_row(info, wide, now)); });
    return task_table(std::move(rows), wide, {!no_header_, colours_wanted(), wide ? 0 : terminal_width()});
  }

  // One document at a time: those of a thousand tasks are memory that the kernel would have to clear.
  template <typename Action>
  void for_each(const std::vector<Task>& tasks, const Action& action) const {
    for (const Task& task : tasks) {
      Json info;
      try {
        info = task.published(members());
      } catch (const Error& error) {
        if (error.code() != "not_found") throw;
        continue;  // deleted since it was found: there is nothing to list
      }
      action(std::move(info));
    }
  }

  template <typename Line>
  std::string lines(const std::vector<Task>& tasks, const Line& line) const {
    std::string all;
    for_each(tasks, [&](const Json& info) { all += line(info) + "\n"; });
    return all;
  }

  static std::string name_or_pid(const Json& info) {
    const std::string name = task_name(info);
    return name.empty() ? plain_text(info.at("pid")) : escaped(name);
  }

  Selector selector_;
  std::string format_ = "table";
  bool quiet_ = false;
  bool no_header_ = false;
};

}  // namespace

VerbEntry ls_verb() {
  return {"ls", "ps list", "list tasks (also what a bare 'bgtask' does)",
          []() -> std::unique_ptr<Verb> { return std::make_unique<LsVerb>(); }};
}

}  // namespace bgtask::cli
