// Which tasks a verb is about.
#pragma once

#include <bgtask/task.h>

#include <functional>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/conditions.h"
#include "cli/session.h"

namespace bgtask::cli {

/// Tasks by pid (of supervisor or child, or a former one), by name (meta.name) or "@last" (the newest): the
/// union of them, or all tasks of the pool where there are none, narrowed by conditions.
struct Selector {
  std::vector<std::string> words;
  std::vector<Condition> labels;    ///< on meta
  std::vector<std::string> states;  ///< any of them; "failed" is one too
  std::vector<Json> patterns;       ///< on the info document
  std::vector<Condition> where;     ///< on the info document
  bool all = false;
  bool missing_ok = false;  ///< a word that names no task is nothing to complain about
  /// Of several tasks with the name that a word is: the only running one, else the newest (of those that
  /// run).
  bool one_per_name = false;

  bool narrows() const { return !labels.empty() || !states.empty() || !patterns.empty() || !where.empty(); }
  bool empty() const { return words.empty() && !narrows() && !all; }
  /// Does this info document meet the conditions (not the words)?
  bool admits(const Json& info) const;
};

/// Whether the task's command has ended with another exit code than 0, by a signal or at its time limit.
bool has_failed(const Json& info);

/// Adds -l, --state, --failed, --where and -a.
void declare_selector(Command& command, Selector& selector);
/// One --where: a JSON object is a pattern, anything else a condition. \throws UsageError
void add_where(Selector& selector, const std::string& text);
/// One --state: states with commas between them. \throws UsageError
void add_states(Selector& selector, const std::string& text);

struct Selection {
  std::vector<Task> tasks;
  bool complete = true;  ///< false: some word named no task, which has been said
};

/// Oldest first for what a search finds, in the order given for pids and names. What was passed over or not
/// found is said on stderr. A pool that does not exist has no tasks. \throws bgtask::Error
Selection select(Session& session, const Selector& selector);
/// The same where the selector must not be empty. \throws UsageError naming `verb`
Selection select_some(Session& session, const Selector& selector, const std::string& verb);
/// The one task selected, `one_per_name`. \throws UsageError if it is none or several, or the selector is
/// empty
Task select_one(Session& session, const Selector& selector);

/// Does `action` to every task selected. A failure is said and the others go on. Returns the exit status.
/// \throws UsageError where the selector is empty, naming `verb`
int for_each_task(Session& session, const Selector& selector, const std::string& verb,
                  const std::function<void(Task&)>& action);

/// What is to be said of a task, once it is its turn.
using Report = std::function<void()>;

/// The same for verbs that wait for what they ask, up to sixteen tasks at a time (fewer where few descriptors
/// may be open): one that takes its time to end holds up few others. `action` runs on threads; what it
/// returns is called here, in the order of selection. A failure of either is said, and the others go on.
int for_tasks_at_once(Session& session, const Selector& selector, const std::string& verb,
                      const std::function<Report(Task&)>& action);

/// "4711: message" on stderr.
void say_failure(pid_t pid, const Error& error);

}  // namespace bgtask::cli
