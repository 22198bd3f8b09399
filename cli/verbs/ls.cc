// bgtask ls: the tasks of a pool.

#include <chrono>
#include <cstddef>
#include <optional>
#include <utility>

#include "cli/console.h"
#include "cli/escaping.h"
#include "cli/exit_status.h"
#include "cli/output_format.h"
#include "cli/selector.h"
#include "cli/sizes_and_times.h"
#include "cli/task_order.h"
#include "cli/task_table.h"
#include "cli/verb.h"
#include "pool/src/task_processes.h"

namespace bgtask::cli {
namespace {

class LsVerb : public Verb {
 public:
  void declare(Command& command) override {
    command.usage("[TASK…]");
    command.examples({"bgtask ls", "bgtask ls -o wide --state running", "bgtask ls -q -l team=web,env!=test",
                      "bgtask ls -o json --where '{\"status\": {\"exit_code\": 1}}'",
                      "bgtask ls --where status.running=1 -o jsonl", "bgtask ls --failed -n 10",
                      "bgtask ls -o wide --sort -cpu"});
    declare_selector(command, selector_);
    command.option("--sort", "[-]KEY",
                   "by pid, name, state, age, ended, exit, run, cpu, mem, user, command or a path such as "
                   "meta.team; - reverses",
                   [this](const std::string& text) { order_.emplace(text); });
    command.option("-n,--limit", "N", "at most N tasks: the newest, with --sort the first",
                   [this](const std::string& text) { limit_ = parse_count(text); });
    command.choice("-o,--output", {"table", "wide", "json", "jsonl", "name"},
                   "table (default); wide: more columns, if the terminal has room; json: an array; jsonl: a "
                   "document a line; name: names, pids "
                   "for those without",
                   &format_);
    command.flag("-q,--quiet", "pids only", &quiet_);
    command.flag("--no-header", "a table without its first line", &no_header_);
  }

  int execute(Session& session, const std::vector<std::string>& positionals) override {
    selector_.words = positionals;
    Selection selection = select(session, selector_);
    put_in_order(selection.tasks);
    write_stdout(text(selection.tasks));
    return selection.complete ? 0 : kExitFailure;
  }

 private:
  // What is on disk, so that no supervisor, slow or stopped, can hold a list up; and no more of it than is
  // shown.
  std::vector<std::string> members() const {
    if (quiet_) return {"pid"};
    if (format_ == "name") return {"pid", "meta"};
    if (format_ == "table")
      return {"pid", "meta", "status", "started_at", "ended_at", "command", "former_pids"};
    return {};
  }

  void put_in_order(std::vector<Task>& tasks) {
    if (order_) order_->sort(tasks, processes_, now_);
    if (!limit_ || tasks.size() <= *limit_) return;
    const auto limit = static_cast<std::ptrdiff_t>(*limit_);
    order_ ? tasks.erase(tasks.begin() + limit, tasks.end())
           : tasks.erase(tasks.begin(), tasks.end() - limit);
  }

  std::string text(const std::vector<Task>& tasks) {
    if (quiet_) return lines(tasks, [](const Json& info) { return plain_text(info.at("pid")); });
    if (format_ == "name") return lines(tasks, name_or_pid);
    if (format_ == "jsonl") return lines(tasks, json_line);
    if (format_ == "json") {
      Json all = Json::array();
      for_each(tasks, [&](Json info) { all.push_back(std::move(info)); });
      return json_text(all) + "\n";
    }
    return table_of(tasks);
  }

  std::string table_of(const std::vector<Task>& tasks) {
    const bool wide = format_ == "wide";
    std::vector<std::vector<Cell>> rows;
    for_each_with_task(tasks, [&](const Task& task, const Json& info) {
      rows.push_back(task_row(info, live_usage(task, info, wide), wide, now_));
    });
    return task_table(std::move(rows), wide, {!no_header_, colours_wanted(), line_width()});
  }

  // Processes are looked for only where they are shown: those of a task that runs in a wide table.
  ProcessUsage live_usage(const Task& task, const Json& info, bool wide) {
    if (!wide && !has_ended(info)) return {};
    return usage_of(processes_.of(task, info));
  }

  // One document at a time: those of a thousand tasks are memory that the kernel would have to clear.
  template <typename Action>
  void for_each_with_task(const std::vector<Task>& tasks, const Action& action) const {
    for (const Task& task : tasks) {
      Json info;
      try {
        info = task.published(members());
      } catch (const Error& error) {
        if (error.code() != "not_found") throw;
        continue;  // deleted since it was found: there is nothing to list
      }
      action(task, std::move(info));
    }
  }

  template <typename Action>
  void for_each(const std::vector<Task>& tasks, const Action& action) const {
    for_each_with_task(tasks, [&](const Task&, Json info) { action(std::move(info)); });
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
  std::optional<TaskOrder> order_;
  std::optional<std::uint64_t> limit_;
  TaskProcesses processes_;
  const double now_ =
      std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  bool quiet_ = false;
  bool no_header_ = false;
};

}  // namespace

VerbEntry ls_verb() {
  return {"ls", "ps list", "list tasks (also what a bare 'bgtask' does)",
          []() -> std::unique_ptr<Verb> { return std::make_unique<LsVerb>(); }};
}

}  // namespace bgtask::cli
