#include "supervisor/processes/process.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "protocol/io/pidfd.h"

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "protocol/io/directory_names.h"

namespace bgtask::supervisor {
namespace {

constexpr size_t kMaxProcFile = 1 << 20;
constexpr std::string_view kSupervisorComm = "bgtask-supervis";  // the kernel keeps 15 characters

std::optional<std::string> read_proc(pid_t pid, const char* name, Look* look = nullptr) {
  char path[64];
  std::snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
  io::UniqueFd fd(::open(path, O_RDONLY | O_CLOEXEC));
  if (!fd) {
    if (look != nullptr) look->failed(errno);
    return std::nullopt;
  }
  std::string content(4096, '\0');
  size_t size = 0;
  while (size < kMaxProcFile) {
    if (size == content.size()) content.resize(content.size() * 2);
    ssize_t n = ::read(fd.get(), content.data() + size, content.size() - size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && look != nullptr) look->failed(errno);
    if (n < 0) return std::nullopt;
    if (n == 0) break;
    size += static_cast<size_t>(n);
  }
  content.resize(size);
  return content;
}

uint64_t number_in(std::string_view text) {
  uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

void append_pids(std::string_view text, std::vector<pid_t>& pids) {
  while (!text.empty()) {
    size_t end = std::min(text.find(' '), text.size());
    if (uint64_t pid = number_in(text.substr(0, end)); pid != 0) pids.push_back(static_cast<pid_t>(pid));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

}  // namespace

void Look::failed(int os_error) {
  if (os_error == ENOENT || os_error == ESRCH || os_error == EACCES || os_error == EPERM) return;
  complete = false;
  error = os_error;
}

std::optional<ProcessStat> process_stat(pid_t pid, Look* look) {
  auto stat = io::process_stat(pid);
  if (stat) return *stat;
  if (look != nullptr && stat.error().os_error != 0) look->failed(stat.error().os_error);
  return std::nullopt;
}

io::UniqueFd open_pidfd(pid_t pid) {
  return io::UniqueFd(::pidfd_open(pid, 0));
}

bool signal_child_of(pid_t pid, pid_t parent, uint64_t start_ticks, int signal, Look* look) {
  io::UniqueFd handle = open_pidfd(pid);
  if (!handle) {
    if (look != nullptr) look->failed(errno);
    return false;
  }
  auto stat = process_stat(pid, look);
  if (!stat || stat->dead() || stat->start_ticks != start_ticks) return false;
  if (stat->parent != parent && stat->parent != ::getpid()) return false;
  return ::pidfd_send_signal(handle.get(), signal, nullptr, 0) == 0;
}

bool signal_group_member(pid_t pid, pid_t group, int signal) {
  io::UniqueFd handle = open_pidfd(pid);
  return handle && ::getpgid(pid) == group && ::pidfd_send_signal(handle.get(), signal, nullptr, 0) == 0;
}

std::vector<pid_t> children_of(pid_t pid, bool one_thread, Look* look) {
  std::vector<pid_t> pids;
  if (one_thread) {
    if (auto list = read_proc(pid, ("task/" + std::to_string(pid) + "/children").c_str(), look)) {
      append_pids(*list, pids);
    } else if (look != nullptr && pid == ::getpid()) {
      *look = {false, errno};  // ours are always there: where they cannot be seen, /proc cannot
    }
    return pids;
  }
  char path[64];
  std::snprintf(path, sizeof path, "/proc/%d/task", pid);
  auto threads = io::directory_names(AT_FDCWD, path);
  if (!threads) {
    if (look != nullptr) look->failed(threads.error().os_error);
    return pids;
  }
  for (const std::string& thread : *threads) {
    if (auto list = read_proc(pid, ("task/" + thread + "/children").c_str(), look)) append_pids(*list, pids);
  }
  return pids;
}

std::optional<std::string> initial_environment(pid_t pid, const std::string& name, Look* look) {
  auto environment = read_proc(pid, "environ", look);
  if (!environment) return std::nullopt;
  std::string_view left = *environment;
  while (!left.empty()) {
    size_t end = std::min(left.find('\0'), left.size());
    std::string_view entry = left.substr(0, end);
    if (entry.size() > name.size() && entry.starts_with(name) && entry[name.size()] == '=') {
      return std::string(entry.substr(name.size() + 1));
    }
    left.remove_prefix(std::min(end + 1, left.size()));
  }
  return std::nullopt;
}

bool is_supervisor(pid_t pid, const ProcessStat& stat) {
  if (stat.name != kSupervisorComm) return false;
  // A name can be had by anybody; the program is compared where it may be looked at.
  char path[64];
  std::snprintf(path, sizeof path, "/proc/%d/exe", pid);
  char target[4096];
  ssize_t length = ::readlink(path, target, sizeof target);
  if (length < 0) return true;
  std::string_view program(target, static_cast<size_t>(length));
  return program.find("bgtask-supervisor") != std::string_view::npos;
}

uint64_t peak_memory(pid_t pid) {
  static constexpr std::string_view kLine = "\nVmHWM:";
  auto status = read_proc(pid, "status");
  if (!status) return 0;
  size_t at = status->find(kLine);
  if (at == std::string::npos) return 0;
  return std::strtoull(status->c_str() + at + kLine.size(), nullptr, 10) * 1024;
}

}  // namespace bgtask::supervisor
