#include "supervisor/processes/control_group.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <ctime>
#include <string_view>

#include "protocol/io/directory_names.h"
#include "protocol/io/files.h"

namespace bgtask::supervisor {
namespace {

constexpr char kPrefix[] = "bgtask-";
constexpr char kSupervisors[] = "bgtask-supervisors";
constexpr size_t kMaxFile = 1 << 20;
constexpr size_t kMaxProcesses = 64 << 20;  // more pids than there can be
constexpr int kMaxNames = 100;
constexpr int64_t kMostFreezeNs = 2'000'000;
constexpr int64_t kCpuPeriodUs = 100'000;  // the kernel's default (Documentation/admin-guide/cgroup-v2.rst)

Status put(int directory, const char* file, const std::string& text) {
  io::UniqueFd fd(::openat(directory, file, O_WRONLY | O_CLOEXEC));
  if (!fd) return fail_errno(std::string("cannot open '") + file + "'", errno, ErrorCode::kDenied);
  if (::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size())) return {};
  return fail_errno(std::string("cannot write '") + file + "'", errno, ErrorCode::kDenied);
}

std::string content(int directory, const char* file) {
  io::UniqueFd fd(::openat(directory, file, O_RDONLY | O_CLOEXEC));
  return fd ? io::read_all(fd.get(), kMaxFile).value_or("") : "";
}

// The number after "NAME " at the beginning of a line.
uint64_t value_of(const std::string& text, const std::string& name) {
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    if (text.compare(at, name.size() + 1, name + " ") == 0)
      return std::strtoull(text.c_str() + at + name.size() + 1, nullptr, 10);
    at = end + 1;
  }
  return 0;
}

int64_t monotonic_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

bool is_cgroup2(const std::string& path) {
  struct statfs fs {};
  return ::statfs(path.c_str(), &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC;
}

// Where version 2 is mounted: on its own, or beside version 1.
std::string mount_point() {
  for (const char* path : {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}) {
    if (is_cgroup2(path)) return path;
  }
  return "";
}

// Our own group, as a path; "" if there is none.
std::string own_group() {
  const std::string text = content(AT_FDCWD, "/proc/self/cgroup");
  const size_t line = text.rfind("0::/", 0) == 0 ? 0 : text.find("\n0::/");
  if (line == std::string::npos) return "";
  const size_t begin = text.find('/', line);
  const std::string mount = mount_point();
  return mount.empty() ? "" : mount + text.substr(begin, text.find('\n', begin) - begin);
}

bool is_delegated(const std::string& group) {
  char value = 0;
  for (const char* attribute : {"user.delegate", "trusted.delegate"}) {
    if (::getxattr(group.c_str(), attribute, &value, 1) == 1 && value == '1') return true;
  }
  return false;
}

bool is_task_group(const std::string& name) {
  constexpr size_t kDigit = sizeof kPrefix - 1;
  return name.starts_with(kPrefix) && name.size() > kDigit &&
         std::isdigit(static_cast<unsigned char>(name[kDigit]));
}

bool is_of_bgtask(const std::string& name) {
  return name == kSupervisors || is_task_group(name);
}

struct Parent {
  std::string path;  // "" if there is none
  bool named = false;
};

Parent find_parent() {
  if (const char* named = std::getenv("BGTASK_CGROUP"); named != nullptr && *named != '\0')
    return {named, true};
  std::string own = own_group();
  // Started from within a task: beside its group, not in it.
  const size_t leaf = own.rfind('/');
  if (leaf != std::string::npos && is_of_bgtask(own.substr(leaf + 1))) own.resize(leaf);
  if (own.empty() || !is_delegated(own)) return {};
  return {own, false};
}

// Beside the tasks' groups: a supervisor shall end neither with the service it was started from nor with a
// task it was started in, and be held to no task's limits. Where it may not move it stays.
void join_supervisors(int parent) {
  if (::mkdirat(parent, kSupervisors, 0755) != 0 && errno != EEXIST) return;
  io::UniqueFd group(::openat(parent, kSupervisors, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (group) static_cast<void>(put(group.get(), "cgroup.procs", "0"));
}

bool wants_limits(const wire::LaunchSpec& spec) {
  return spec.memory != 0 || spec.cpus != 0;
}

void add_processes(int directory, int depth, std::vector<pid_t>& pids, Look& look) {
  constexpr int kMaxDepth = 16;
  io::UniqueFd procs(::openat(directory, "cgroup.procs", O_RDONLY | O_CLOEXEC));
  if (!procs) return look.failed(errno);
  const auto text = io::read_all(procs.get(), kMaxProcesses);
  if (!text) return look.failed(text.error().os_error != 0 ? text.error().os_error : EOVERFLOW);
  for (const char* at = text->c_str(); *at != '\0';) {
    char* end = nullptr;
    const long pid = std::strtol(at, &end, 10);
    if (end == at) break;
    if (pid > 0) pids.push_back(static_cast<pid_t>(pid));
    at = *end == '\n' ? end + 1 : end;
  }
  auto names = io::directory_names(directory);
  if (!names) return look.failed(names.error().os_error);
  for (const std::string& name : *names) {
    io::UniqueFd below(::openat(directory, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!below && errno == ENOTDIR) continue;
    if (!below) return look.failed(errno);
    if (depth == kMaxDepth) return look.failed(ELOOP);
    add_processes(below.get(), depth + 1, pids, look);
  }
}

}  // namespace

std::string cpu_quota(double cpus) {
  return std::to_string(std::llround(cpus * kCpuPeriodUs)) + " " + std::to_string(kCpuPeriodUs);
}

Result<std::optional<ControlGroup>> ControlGroup::create(const wire::LaunchSpec& spec, pid_t id) {
  const Parent parent = find_parent();
  if (parent.path.empty()) {
    if (!wants_limits(spec)) return std::nullopt;
    return fail(
        ErrorCode::kDenied,
        "memory and cpus can be limited only in a delegated control group: set BGTASK_CGROUP to one, or "
        "run in a service with Delegate=yes");
  }
  io::UniqueFd directory(::open(parent.path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory || !is_cgroup2(parent.path)) {
    return fail(ErrorCode::kBadArgument,
                "BGTASK_CGROUP: '" + parent.path + "' is no control group of version 2");
  }
  join_supervisors(directory.get());
  // A task that had our pid, dead or adopted, may have its group still.
  std::string name = kPrefix + std::to_string(id);
  int made = ::mkdirat(directory.get(), name.c_str(), 0755);
  for (int i = 2; made != 0 && errno == EEXIST && i < kMaxNames; ++i) {
    name = kPrefix + std::to_string(id) + "-" + std::to_string(i);
    made = ::mkdirat(directory.get(), name.c_str(), 0755);
  }
  if (made != 0) {
    if (!parent.named && !wants_limits(spec)) return std::nullopt;
    return fail_errno("cannot make a control group in " + parent.path, errno, ErrorCode::kDenied);
  }
  ControlGroup group(parent.path + "/" + name, io::UniqueFd(::openat(directory.get(), name.c_str(),
                                                                     O_RDONLY | O_DIRECTORY | O_CLOEXEC)));
  Status limited = group.directory_ ? group.limit(spec, directory.get())
                                    : fail_errno("cannot open the control group", errno, ErrorCode::kDenied);
  if (!limited) {
    static_cast<void>(group.remove());  // nothing has ever been in it
    return fail(std::move(limited).error());
  }
  return std::optional<ControlGroup>(std::move(group));
}

Status ControlGroup::limit(const wire::LaunchSpec& spec, int parent) const {
  const auto set = [&](const char* controller, const char* file, const std::string& value) -> Status {
    if (::faccessat(directory(), file, F_OK, 0) == 0) return put(directory(), file, value);
    Status enabled = put(parent, "cgroup.subtree_control", std::string("+") + controller);
    if (enabled) return put(directory(), file, value);
    // Not even to its own processes: the kernel lets a group have processes or groups with controllers.
    if (enabled.error().os_error == EBUSY) {
      return fail_errno("the control group has processes of its own, and so no " + std::string(controller) +
                            " controller for the groups below it",
                        EBUSY, ErrorCode::kDenied);
    }
    return fail(Failure{
        ErrorCode::kDenied,
        std::string("the control group has no ") + controller + " controller: " + enabled.error().message,
        enabled.error().os_error, nullptr});
  };
  Status done;
  if (spec.memory != 0) done = set("memory", "memory.max", std::to_string(spec.memory));
  if (done && spec.cpus != 0) done = set("cpu", "cpu.max", cpu_quota(spec.cpus));
  return done;
}

std::optional<ControlGroup> ControlGroup::open(const std::string& path) {
  const size_t leaf = path.rfind('/');
  if (leaf == std::string::npos || !is_task_group(path.substr(leaf + 1))) return std::nullopt;
  io::UniqueFd directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!directory || !is_cgroup2(path)) return std::nullopt;
  return ControlGroup(path, std::move(directory));
}

std::optional<ControlGroup> ControlGroup::take_over(const std::string& path) {
  std::optional<ControlGroup> group = open(path);
  if (!group) return std::nullopt;
  // The task may have been adopted from within itself.
  const std::string above = path.substr(0, path.rfind('/'));
  io::UniqueFd parent(::open(above.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (parent) join_supervisors(parent.get());
  group->freeze(false);  // the former supervisor may have been killed while it signalled
  return group;
}

void ControlGroup::leave_callers_group() {
  const Parent parent = find_parent();
  if (parent.path.empty() || !is_cgroup2(parent.path)) return;
  io::UniqueFd directory(::open(parent.path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory) join_supervisors(directory.get());
}

bool ControlGroup::holds_us() const {
  Look look;
  const std::vector<pid_t> pids = processes(look);
  return std::find(pids.begin(), pids.end(), ::getpid()) != pids.end();
}

std::vector<pid_t> ControlGroup::processes(Look& look) const {
  std::vector<pid_t> pids;
  add_processes(directory(), 0, pids, look);
  return pids;
}

// The kernel stops each process when it next returns from the kernel: one that has no processor now needs
// ours for that. The event loop cannot wait for one that does not return.
void ControlGroup::freeze(bool frozen) const {
  if (frozen && holds_us()) return;  // in a group that we could not leave
  if (!put(directory(), "cgroup.freeze", frozen ? "1" : "0") || !frozen) return;
  const int64_t until = monotonic_ns() + kMostFreezeNs;
  while (value_of(content(directory(), "cgroup.events"), "frozen") != 1 && monotonic_ns() < until)
    ::sched_yield();
}

bool ControlGroup::kill() const {
  return !holds_us() && put(directory(), "cgroup.kill", "1").has_value();
}

uint64_t ControlGroup::oom_kills() const {
  return value_of(content(directory(), "memory.events"), "oom_kill");
}

Status ControlGroup::remove() const {
  if (::rmdir(path_.c_str()) == 0 || errno == ENOENT) return {};
  return fail_errno("cannot remove the control group " + path_, errno, ErrorCode::kBusy);
}

}  // namespace bgtask::supervisor
