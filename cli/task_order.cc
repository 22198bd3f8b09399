#include "cli/task_order.h"

#include <algorithm>
#include <set>
#include <utility>

#include "cli/conditions.h"
#include "cli/output_format.h"
#include "cli/task_table.h"
#include "cli/usage_error.h"

namespace bgtask::cli {
namespace {

constexpr char kColumns[] = "pid, name, state, age, ended, exit, run, cpu, mem, user and command";

bool is_column(const std::string& key) {
  static const std::set<std::string> kNames = {"pid", "name", "state", "age",  "ended",  "exit",
                                               "run", "cpu",  "mem",   "user", "command"};
  return kNames.contains(key);
}

SortValue value_of(const Json* found) {
  if (found == nullptr || found->is_null()) return {};
  if (found->is_number()) return found->get<double>();
  return plain_text(*found);
}

SortValue since(const Json* time, double now) {
  if (time == nullptr || !time->is_number()) return {};
  return now - time->get<double>();
}

// The code, after those the signals.
SortValue exit_value(const Json& info) {
  const Json* signal = find_value(info, "status.signal");
  if (signal != nullptr && !signal->is_null()) return plain_text(*signal);
  return value_of(find_value(info, "status.exit_code"));
}

Json published(const Task& task) {
  try {
    return task.published();
  } catch (const Error& error) {
    if (error.code() != "not_found") throw;
    return Json::object();  // deleted since it was found
  }
}

}  // namespace

bool sorts_before(const SortValue& a, const SortValue& b, bool reverse) {
  if (a.index() == 0 || b.index() == 0) return a.index() != 0 && b.index() == 0;
  return reverse ? b < a : a < b;
}

TaskOrder::TaskOrder(const std::string& text) : key_(text), reverse_(text.starts_with('-')) {
  if (reverse_) key_.erase(0, 1);
  if (key_.empty()) throw UsageError("what to sort by? Give a column's name, or a path such as meta.team");
}

SortValue TaskOrder::value(const Json& info, const ProcessUsage& live, double now) const {
  if (key_ == "name") {
    const std::string name = task_name(info);
    return name.empty() ? SortValue() : SortValue(name);
  }
  if (key_ == "state") return value_of(find_value(info, "status.state"));
  if (key_ == "age") return since(find_value(info, "started_at"), now);
  if (key_ == "ended") return since(find_value(info, "ended_at"), now);
  if (key_ == "exit") return exit_value(info);
  if (key_ == "cpu") return cpu_seconds(info, live);
  if (key_ == "mem") return static_cast<double>(live.resident);
  if (key_ == "user") return value_of(find_value(info, "uid"));
  if (key_ == "run") {
    const auto ran = run_time(info, now);
    return ran ? SortValue(*ran) : SortValue();
  }
  if (key_ == "command") {
    const Json* command = find_value(info, "command");
    return command == nullptr ? SortValue() : SortValue(command_line(*command));
  }
  return value_of(find_value(info, key_));
}

void TaskOrder::sort(std::vector<Task>& tasks, TaskProcesses& processes, double now) const {
  const bool needs_usage = key_ == "cpu" || key_ == "mem";
  std::vector<std::pair<SortValue, Task>> keyed;
  for (Task& task : tasks) {
    const Json info = published(task);
    const ProcessUsage live = needs_usage ? usage_of(processes.of(task, info)) : ProcessUsage();
    keyed.emplace_back(value(info, live, now), std::move(task));
  }
  std::stable_sort(keyed.begin(), keyed.end(),
                   [this](const auto& a, const auto& b) { return sorts_before(a.first, b.first, reverse_); });
  const bool any =
      std::any_of(keyed.begin(), keyed.end(), [](const auto& one) { return one.first.index() != 0; });
  if (!any && !keyed.empty() && !is_column(key_) && key_.find('.') == std::string::npos)
    throw UsageError("no task has '" + key_ + "' to sort by; columns are " + kColumns);
  tasks.clear();
  for (auto& [key, task] : keyed)
    tasks.push_back(std::move(task));
}

}  // namespace bgtask::cli
