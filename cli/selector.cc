#include "cli/selector.h"

#include <sys/resource.h>

#include <algorithm>
#include <charconv>
#include <condition_variable>
#include <cstddef>
#include <future>
#include <iterator>
#include <mutex>
#include <optional>
#include <set>
#include <utility>

#include "cli/console.h"
#include "cli/escaping.h"
#include "cli/exit_status.h"
#include "cli/output_format.h"
#include "cli/similar.h"
#include "cli/task_table.h"
#include "cli/usage_error.h"
#include "pool/src/crew.h"

namespace bgtask::cli {
namespace {

constexpr std::string_view kHowToSelect = "a pid, a name, @last, -l, --state, --where or -a";

std::optional<pid_t> as_pid(const std::string& word) {
  pid_t pid = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), pid);
  if (error != std::errc() || end != word.data() + word.size() || pid <= 0) return std::nullopt;
  return pid;
}

std::vector<Task> search_all(const TaskPool& pool) {
  std::vector<SkippedEntry> skipped;
  auto tasks = pool.search(Json::object(), &skipped);
  for (const auto& entry : skipped)
    say("skipped " + entry.name + ": " + entry.reason.what());
  return tasks;
}

// Looks words up; searches the pool at most once, and not at all where pids are enough.
class Finder {
 public:
  explicit Finder(const TaskPool* pool) : pool_(pool) {}

  const std::vector<Task>& all() {
    if (!all_) all_ = pool_ == nullptr ? std::vector<Task>() : search_all(*pool_);
    return *all_;
  }

  std::vector<Task> find(const std::string& word) {
    if (word == "@last") return all().empty() ? std::vector<Task>{} : std::vector<Task>{all().back()};
    if (const auto pid = as_pid(word); pid && pool_ != nullptr) {
      if (auto task = pool_->task(*pid)) return {*task};
    }
    // As it is, else as `ls` prints it: what is not UTF-8, or a control character, cannot be typed.
    std::vector<Task> found = named([&](const std::string& name) { return name == word; });
    if (found.empty()) found = named([&](const std::string& name) { return escaped(name) == word; });
    return found;
  }

  /// A name in the pool that `word` may be a typo of; empty for none.
  std::string similar_name(const std::string& word) {
    std::vector<std::string> names;
    for (const Task& task : all()) {
      if (std::string name = task_name(task.published({"meta"})); !name.empty())
        names.push_back(std::move(name));
    }
    return most_similar(word, names);
  }

 private:
  template <typename Test>
  std::vector<Task> named(const Test& test) {
    std::vector<Task> found;
    for (const Task& task : all()) {
      const std::string name = task_name(task.published({"meta"}));
      if (!name.empty() && test(name)) found.push_back(task);
    }
    return found;
  }

  const TaskPool* pool_;
  std::optional<std::vector<Task>> all_;
};

bool admits(const Selector& selector, const Task& task) {
  if (!selector.narrows()) return true;
  const bool anything = !selector.where.empty() || !selector.patterns.empty();
  try {
    return selector.admits(anything ? task.published() : task.published({"meta", "status"}));
  } catch (const Error& error) {
    if (error.code() != "not_found") throw;
    return false;  // deleted since it was found
  }
}

bool is_running(const Task& task) {
  try {
    return task.published({"status"}).at("status").value("running", false);
  } catch (const Error& error) {
    if (error.code() != "not_found") throw;
    return false;  // deleted since it was found
  }
}

// Of several tasks with one name, oldest first, the one that is meant.
Task preferred(const std::string& word, const std::vector<Task>& namesakes) {
  std::vector<Task> running;
  std::copy_if(namesakes.begin(), namesakes.end(), std::back_inserter(running), is_running);
  if (running.empty()) return namesakes.back();
  if (running.size() > 1)
    say(std::to_string(running.size()) + " running tasks are named " + word + "; took the newest, " +
        std::to_string(running.back().pid()));
  return running.back();
}

void add_admitted(const Selector& selector, const std::string& word, const std::vector<Task>& found,
                  std::set<pid_t>& seen, std::vector<Task>& tasks) {
  std::vector<Task> admitted;
  std::copy_if(found.begin(), found.end(), std::back_inserter(admitted),
               [&](const Task& task) { return admits(selector, task); });
  if (selector.one_per_name && !word.empty() && admitted.size() > 1) admitted = {preferred(word, admitted)};
  for (const Task& task : admitted) {
    if (seen.insert(task.pid()).second) tasks.push_back(task);
  }
}

bool is_in_state(const Json& info, const std::vector<std::string>& states) {
  const Json* state = find_value(info, "status.state");
  return std::any_of(states.begin(), states.end(), [&](const std::string& wanted) {
    return wanted == "failed" ? has_failed(info) : state != nullptr && plain_text(*state) == wanted;
  });
}

void say_missing(const std::string& word, const std::string& similar, const std::string& why_no_pool) {
  std::string text = "there is no task " + word;
  if (!similar.empty()) text += "; did you mean " + similar + "?";
  if (!why_no_pool.empty()) text += ": " + why_no_pool;
  say(text);
}

std::string pids_of(const std::vector<Task>& tasks) {
  std::string text;
  for (const Task& task : tasks)
    text += (text.empty() ? "" : ", ") + std::to_string(task.pid());
  return text;
}

}  // namespace

bool has_failed(const Json& info) {
  const Json* status = find_value(info, "status");
  if (status == nullptr || !status->is_object() || status->value("running", Json()) != false) return false;
  const Json code = status->value("exit_code", Json());
  return (!code.is_null() && code != 0) || !status->value("signal", Json()).is_null() ||
         status->value("reason", Json()) == "timeout";
}

bool Selector::admits(const Json& info) const {
  static const Json kNoMeta = Json::object();
  const Json* found = find_value(info, "meta");
  const Json& meta = found == nullptr ? kNoMeta : *found;
  return (states.empty() || is_in_state(info, states)) &&
         std::all_of(labels.begin(), labels.end(), [&](const Condition& c) { return c.holds_for(meta); }) &&
         std::all_of(where.begin(), where.end(), [&](const Condition& c) { return c.holds_for(info); }) &&
         std::all_of(patterns.begin(), patterns.end(), [&](const Json& p) { return matches(p, info); });
}

void add_where(Selector& selector, const std::string& text) {
  if (!text.starts_with("{")) {
    selector.where.push_back(Condition::parse(text));
    return;
  }
  Json pattern = Json::parse(text, nullptr, false);
  if (!pattern.is_object()) throw UsageError("'" + text + "' is not a JSON object");
  selector.patterns.push_back(std::move(pattern));
}

void add_states(Selector& selector, const std::string& text) {
  static const std::set<std::string> kStates = {"running", "paused", "exited", "lost", "failed"};
  std::size_t begin = 0;
  while (begin <= text.size()) {
    const auto end = std::min(text.find(',', begin), text.size());
    const std::string state = text.substr(begin, end - begin);
    if (!kStates.contains(state))
      throw UsageError("'" + state + "' is not running, paused, exited, lost or failed");
    selector.states.push_back(state);
    begin = end + 1;
  }
}

void declare_selector(Command& command, Selector& selector) {
  command.options("-l,--label", "K=V[,K!=V]",
                  "tasks whose metadata has K equal to V, different from V; or K at all",
                  [&selector](const std::string& text) {
                    for (auto& condition : parse_conditions(text, Comparison::kText))
                      selector.labels.push_back(std::move(condition));
                  });
  command.options("--state", "STATE", "running, paused, exited, lost or failed; several with commas",
                  [&selector](const std::string& text) { add_states(selector, text); });
  command.flag("--failed", "ended with another status than 0, by a signal or a time limit: --state failed",
               [&selector] { selector.states.push_back("failed"); });
  command.options("--where", "PATTERN", "as JSON ('{\"status\": {\"running\": true}}') or status.running=1",
                  [&selector](const std::string& text) { add_where(selector, text); });
  command.flag("-a,--all", "all tasks of the pool", &selector.all);
}

Selection select(Session& session, const Selector& selector) {
  Finder finder(session.pool_if_there());
  Selection selection;
  std::set<pid_t> seen;
  if (selector.all || selector.words.empty()) add_admitted(selector, "", finder.all(), seen, selection.tasks);
  for (const auto& word : selector.words) {
    const auto found = finder.find(word);
    if (found.empty() && !selector.missing_ok) {
      say_missing(word, finder.similar_name(word), session.why_missing());
      selection.complete = false;
    }
    add_admitted(selector, word, found, seen, selection.tasks);
  }
  return selection;
}

Task select_one(Session& session, const Selector& selector) {
  if (selector.empty()) throw UsageError("which task? Give " + std::string(kHowToSelect));
  Selector one = selector;
  one.one_per_name = true;
  Selection selection = select(session, one);
  if (!selection.complete) throw UsageError("nothing done");
  if (selection.tasks.empty()) throw UsageError("no task matches");
  if (selection.tasks.size() > 1)
    throw UsageError("that is several tasks, and one is needed: " + pids_of(selection.tasks));
  return selection.tasks.front();
}

Selection select_some(Session& session, const Selector& selector, const std::string& verb) {
  if (selector.empty()) throw UsageError(verb + ": which tasks? Give " + std::string(kHowToSelect));
  Selection selection = select(session, selector);
  if (selection.tasks.empty() && selection.complete && !selector.missing_ok) say("no task matches");
  return selection;
}

namespace {

// False if it failed, which has been said.
bool succeeds(pid_t pid, const Report& action) {
  try {
    action();
    return true;
  } catch (const Error& error) {
    say_failure(pid, error);
  } catch (const Json::exception&) {
    say(std::to_string(pid) + ": its supervisor's answer is not what this version understands");
  }
  return false;
}

}  // namespace

int for_each_task(Session& session, const Selector& selector, const std::string& verb,
                  const std::function<void(Task&)>& action) {
  Selection selection = select_some(session, selector, verb);
  int status = selection.complete ? 0 : kExitFailure;
  for (Task& selected : selection.tasks) {
    Task task = std::move(selected);  // its connection ends with it: thousands would be more than may be open
    if (!succeeds(task.pid(), [&] { action(task); })) status = kExitFailure;
  }
  return status;
}

namespace {

// As many tasks as may be acted on at a time: each takes up to four descriptors.
std::size_t places_for_tasks() {
  constexpr std::size_t kMost = 16, kForOthers = 16, kForOne = 4;
  rlimit descriptors{};
  if (::getrlimit(RLIMIT_NOFILE, &descriptors) != 0 || descriptors.rlim_cur >= kForOthers + kMost * kForOne)
    return kMost;
  const std::size_t few = descriptors.rlim_cur;
  return few < kForOthers + kForOne ? 1 : (few - kForOthers) / kForOne;
}

// One task's action and, once it is done, what is to be said of it.
struct Job {
  pid_t pid;
  std::packaged_task<Report()> run;
};

std::vector<Job> jobs_for(std::vector<Task>& tasks, const std::function<Report(Task&)>& action) {
  std::vector<Job> jobs;
  for (Task& selected : tasks) {
    jobs.push_back({selected.pid(), std::packaged_task<Report()>([&action, &selected] {
                      Task task = std::move(selected);  // its connection ends with it
                      return action(task);
                    })});
  }
  return jobs;
}

// Jobs begun in their order by whoever is free, of which only so many wait to be reported.
class Queue {
 public:
  explicit Queue(std::vector<Job>& jobs) : jobs_(jobs) {}

  void take_part() {
    while (Job* job = next())
      job->run();
  }
  void reported() {
    const std::lock_guard lock(mutex_);
    ++reported_;
    room_.notify_one();
  }
  /// Nothing more is begun.
  void close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    room_.notify_all();
  }

 private:
  static constexpr std::size_t kMostUnreported = 64;  // what one that takes its time lets pile up behind it

  Job* next() {
    std::unique_lock lock(mutex_);
    room_.wait(lock, [&] { return ended() || begun_ < reported_ + kMostUnreported; });
    return ended() ? nullptr : &jobs_[begun_++];
  }
  bool ended() const { return closed_ || begun_ == jobs_.size(); }

  std::vector<Job>& jobs_;
  std::mutex mutex_;
  std::condition_variable room_;  // libstdc++ 12's semaphores lose a wake-up where several wait
  std::size_t begun_ = 0;
  std::size_t reported_ = 0;
  bool closed_ = false;
};

struct Closing {
  Queue& queue;
  ~Closing() { queue.close(); }
};

}  // namespace

int for_tasks_at_once(Session& session, const Selector& selector, const std::string& verb,
                      const std::function<Report(Task&)>& action) {
  Selection selection = select_some(session, selector, verb);
  int status = selection.complete ? 0 : kExitFailure;
  std::vector<Job> jobs = jobs_for(selection.tasks, action);
  Queue queue(jobs);
  const Crew crew(jobs.size() > 1 ? std::min(places_for_tasks(), jobs.size()) : 0,
                  [&queue] { queue.take_part(); });
  const Closing closing{queue};  // also where a report cannot be written
  for (Job& job : jobs) {
    if (crew.size() == 0) job.run();
    if (!succeeds(job.pid, [&job] { job.run.get_future().get()(); })) status = kExitFailure;
    queue.reported();
  }
  return status;
}

void say_failure(pid_t pid, const Error& error) {
  say(std::to_string(pid) + ": " + error.what());
}

}  // namespace bgtask::cli
