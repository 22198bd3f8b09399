#include "pool/src/task_processes.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <set>
#include <string_view>
#include <utility>

#include "client/src/task_access.h"
#include "protocol/io/directory_names.h"
#include "protocol/io/files.h"
#include "protocol/io/process_stat.h"
#include "protocol/taskdir/keys.h"
#include "protocol/taskdir/names.h"
#include "protocol/wire/codec.h"
#include "protocol/wire/launch.h"
#include "protocol/wire/limits.h"

namespace bgtask {
namespace {

constexpr std::size_t kMaxProcFile = 4 << 20;
constexpr std::size_t kMaxLaunch = 64 << 20;                     // arguments and environment may be long
constexpr std::string_view kSupervisorName = "bgtask-supervis";  // the kernel keeps 15 characters

std::string read_proc(pid_t pid, const std::string& name) {
  const std::string path = "/proc/" + std::to_string(pid) + "/" + name;
  return io::read_file(AT_FDCWD, path.c_str(), kMaxProcFile).value_or(std::string());
}

// Calls `take` with each part of a text between separators.
template <typename Take>
void for_each_part(std::string_view text, char separator, const Take& take) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(separator), text.size());
    take(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

template <typename Number>
Number number_in(std::string_view text) {
  Number number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

std::vector<pid_t> numbers_in_proc(const std::string& directory) {
  std::vector<pid_t> numbers;
  const auto names = io::directory_names(AT_FDCWD, directory.c_str());
  for (const std::string& name : names.value_or(std::vector<std::string>())) {
    if (const auto number = number_in<pid_t>(name); number > 0) numbers.push_back(number);
  }
  return numbers;
}

// Children of every thread of a process.
std::vector<pid_t> children_of(pid_t pid, bool one_thread) {
  std::vector<pid_t> threads = {pid};
  if (!one_thread) threads = numbers_in_proc("/proc/" + std::to_string(pid) + "/task");
  std::vector<pid_t> children;
  for (const pid_t thread : threads) {
    for_each_part(read_proc(pid, "task/" + std::to_string(thread) + "/children"), ' ',
                  [&](std::string_view child) {
                    if (const auto number = number_in<pid_t>(child); number > 0) children.push_back(number);
                  });
  }
  return children;
}

// A supervisor is a sub-reaper: what its task started hangs below it.
std::vector<pid_t> below(pid_t supervisor) {
  std::vector<pid_t> found;
  std::vector<pid_t> todo = children_of(supervisor, true);
  std::set<pid_t> seen;
  while (!todo.empty()) {
    const pid_t pid = todo.back();
    todo.pop_back();
    const auto stat = io::process_stat(pid);
    if (!seen.insert(pid).second || !stat || stat->name == kSupervisorName) continue;
    const auto children = children_of(pid, stat->threads == 1);
    todo.insert(todo.end(), children.begin(), children.end());
    if (!stat->dead()) found.push_back(pid);
  }
  return found;
}

std::string token_of(const TaskDirectory& task) {
  const Result<std::string> text = io::read_file(task.fd.get(), taskdir::kLaunch, kMaxLaunch, &task.owner);
  if (!text) return "";
  const Result<Json> document = wire::decode_msgpack(*text, {wire::kMaxDepth, text->size()});
  const Result<wire::LaunchSpec> spec = document ? wire::launch_spec(*document) : wire::LaunchSpec();
  return spec ? spec->token : "";
}

bool was_adopted(const Json& info) {
  const auto former = info.find(taskdir::key::kFormerPids);
  return former != info.end() && former->is_array() && !former->empty();
}

bool is_lost(const Json& info) {
  const auto status = info.find("status");
  return status != info.end() && status->is_object() && status->value("state", Json()) == "lost";
}

}  // namespace

std::optional<std::string> initial_environment(pid_t pid, const std::string& name) {
  const std::string environment = read_proc(pid, "environ");
  std::optional<std::string> value;
  for_each_part(environment, '\0', [&](std::string_view entry) {
    const bool named = entry.size() > name.size() && entry.starts_with(name) && entry[name.size()] == '=';
    if (named && !value) value = entry.substr(name.size() + 1);
  });
  return value;
}

ProcessUsage usage_of(const std::vector<pid_t>& processes) {
  const auto ticks_per_second = static_cast<double>(::sysconf(_SC_CLK_TCK));
  const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  ProcessUsage usage;
  for (const pid_t pid : processes) {
    const auto stat = io::process_stat(pid);
    if (!stat || stat->dead()) continue;
    ++usage.processes;
    usage.cpu_seconds +=
        static_cast<double>(stat->user_ticks + stat->system_ticks + stat->children_ticks) / ticks_per_second;
    const std::string sizes = read_proc(pid, "statm");  // pages: in all, resident, …
    const std::size_t second = sizes.find(' ');
    if (second != std::string::npos)
      usage.resident += page * number_in<std::uint64_t>(std::string_view(sizes).substr(second + 1));
  }
  return usage;
}

std::vector<pid_t> TaskProcesses::with_token(const std::string& token) {
  if (token.empty()) return {};
  if (!by_token_) {
    by_token_.emplace();
    for (const pid_t pid : numbers_in_proc("/proc")) {
      // A supervisor that was started inside a task may have its environment, and belongs to another.
      const auto stat = io::process_stat(pid);
      if (!stat || stat->dead() || stat->name == kSupervisorName) continue;
      if (auto named = initial_environment(pid, "BGTASK_TOKEN"))
        (*by_token_)[*std::move(named)].push_back(pid);
    }
  }
  const auto found = by_token_->find(token);
  return found == by_token_->end() ? std::vector<pid_t>{} : found->second;
}

std::vector<pid_t> TaskProcesses::left_by(const TaskDirectory& dead) {
  return with_token(token_of(dead));
}

std::vector<pid_t> TaskProcesses::of(const Task& task, const Json& info) {
  if (!is_lost(info) && !was_adopted(info)) return below(task.pid());
  const Result<const TaskDirectory*> directory = TaskAccess::directory(task);
  return directory ? left_by(**directory) : std::vector<pid_t>{};
}

}  // namespace bgtask
