#include "supervisor/processes/child_exec.h"

#include <fcntl.h>
#include <grp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace bgtask::supervisor {
namespace {

constexpr int kOomScoreOfChild = 200;  // above the supervisor's, which is to survive

std::vector<std::string> child_environment(const wire::LaunchSpec& spec, pid_t task_id) {
  std::string id = std::to_string(task_id);
  // First, so that whoever looks for a task's processes in /proc finds these without reading far.
  std::vector<std::string> env = {"BGTASK_PID=" + id, "BGTASK_SUPERVISOR_PID=" + id,
                                  "BGTASK_POOL=" + spec.pool_path,
                                  "BGTASK_DATA_FD=" + std::to_string(kChildDataFd)};
  if (!spec.token.empty()) env.insert(env.begin(), "BGTASK_TOKEN=" + spec.token);
  for (const std::string& entry : spec.env) {
    bool ours = entry.starts_with("BGTASK_PID=") || entry.starts_with("BGTASK_SUPERVISOR_PID=") ||
                entry.starts_with("BGTASK_POOL=") || entry.starts_with("BGTASK_DATA_FD=") ||
                entry.starts_with("BGTASK_TOKEN=");
    if (!ours) env.push_back(entry);
  }
  return env;
}

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> list;
  list.reserve(strings.size() + 1);
  for (std::string& text : strings)
    list.push_back(text.data());
  list.push_back(nullptr);
  return list;
}

// The files to try, in order: the name itself where it has a slash, else one in each directory of the child's
// PATH.
std::vector<std::string> candidates(const std::string& program, const std::vector<std::string>& env) {
  if (program.find('/') != std::string::npos) return {program};
  std::string path = "/usr/local/bin:/usr/bin:/bin";
  for (const std::string& entry : env) {
    if (entry.starts_with("PATH=")) path = entry.substr(5);
  }
  std::vector<std::string> files;
  for (size_t begin = 0; begin <= path.size();) {
    size_t end = std::min(path.find(':', begin), path.size());
    std::string directory = path.substr(begin, end - begin);
    files.push_back((directory.empty() ? "." : directory) + "/" + program);
    begin = end + 1;
  }
  return files;
}

// ---- In the forked child: only system calls from here on. ----

[[noreturn]] void give_up(int report_fd, Step step) {
  ChildFailure failure{step, errno};
  if (::write(report_fd, &failure, sizeof failure) < 0) {
    // The supervisor then sees an end without a report; there is nobody else to tell.
  }
  ::_exit(127);
}

void reset_signals() {
  struct sigaction standard {};
  standard.sa_handler = SIG_DFL;
  // The system call itself: the library refuses to touch the two real-time signals it uses.
  for (int number = 1; number <= 64; ++number)
    ::sigaction(number, &standard, nullptr);
  struct KernelAction {
    void (*handler)(int) = nullptr;
    unsigned long flags = 0;
    void (*restorer)() = nullptr;
    unsigned long mask = 0;
  } kernel_default;
  for (int number : {32, 33})
    ::syscall(SYS_rt_sigaction, number, &kernel_default, nullptr, sizeof kernel_default.mask);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  unsigned long nothing = 0;
  ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &nothing, nullptr, sizeof nothing);
}

[[noreturn]] void give_up_streams(int report_fd) {
  if (errno == EINVAL) errno = EMFILE;  // invalid is a number beyond the limit
  give_up(report_fd, Step::kStreams);
}

void place_streams(const ChildEnds& ends, int& report_fd) {
  // Above everything that will be replaced, so that no dup2 below overwrites a source.
  constexpr int kSafe = 10;
  int high[4];
  for (int i = 0; i < 4; ++i) {
    high[i] = ::fcntl(ends.fds[i].get(), F_DUPFD_CLOEXEC, kSafe);
    if (high[i] < 0) give_up_streams(report_fd);
  }
  int report = ::fcntl(report_fd, F_DUPFD_CLOEXEC, kSafe);
  if (report < 0) give_up_streams(report_fd);
  report_fd = report;
  for (int i = 0; i < 4; ++i) {
    if (::dup2(high[i], i) < 0) give_up(report_fd, Step::kStreams);
  }
  // Closed now and not by the exec, which may take long: a copy of the task's lock would keep a dead
  // supervisor's task from being adopted.
  ::close_range(4, static_cast<unsigned>(report) - 1, 0);
  ::close_range(static_cast<unsigned>(report) + 1, ~0U, 0);
}

void raise_oom_score() {
  int fd = ::open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
  if (fd < 0) return;
  char text[16] = {};
  if (::read(fd, text, sizeof text - 1) > 0) {
    int score = std::min(1000, std::atoi(text) + kOomScoreOfChild);
    int length = std::snprintf(text, sizeof text, "%d", score);
    if (::pwrite(fd, text, static_cast<size_t>(length), 0) < 0) return;  // a courtesy, not a condition
  }
  ::close(fd);
}

void apply_limits(const Preparation& p, int report_fd) {
  for (size_t i = 0; i < std::size(kOwnLimits); ++i) {
    const auto resource = static_cast<__rlimit_resource>(kOwnLimits[i]);
    rlimit limit{};
    ::getrlimit(resource, &limit);
    if (limit.rlim_cur == p.original.soft_limits[i]) continue;
    limit.rlim_cur = p.original.soft_limits[i];
    ::setrlimit(resource, &limit);
  }
  for (const auto& [resource, limit] : p.limits) {
    if (::setrlimit(static_cast<__rlimit_resource>(resource), &limit) != 0) give_up(report_fd, Step::kLimits);
  }
}

void become_user(const wire::UserSpec& user, int report_fd) {
  if (::setgroups(user.groups.size(), user.groups.data()) != 0 ||
      ::setresgid(user.gid, user.gid, user.gid) != 0 || ::setresuid(user.uid, user.uid, user.uid) != 0) {
    give_up(report_fd, Step::kUser);
  }
}

// A user who cannot enter the pool has no use for its path: a bgtask of theirs would only be refused there.
void withhold_closed_pool(Preparation& p) {
  static constexpr char kVariable[] = "BGTASK_POOL=";
  if (::access(p.spec.pool_path.c_str(), X_OK) == 0) return;
  const auto kept = std::remove_if(p.envp.begin(), p.envp.end(), [](const char* entry) {
    return entry != nullptr && std::strncmp(entry, kVariable, sizeof kVariable - 1) == 0;
  });
  if (kept != p.envp.end()) *kept = nullptr;  // the list ends with it; a shorter one is not allocated here
}

[[noreturn]] void execute(Preparation& p, int report_fd) {
  int error = ENOENT;
  for (const std::string& file : p.files) {
    ::execve(file.c_str(), p.argv.data(), p.envp.data());
    // As a shell does: go on where the file is not there, remember one that could not be executed.
    if (errno != ENOENT && errno != ENOTDIR) error = errno;
    if (errno != ENOENT && errno != ENOTDIR && errno != EACCES) break;
  }
  errno = error;
  give_up(report_fd, Step::kExec);
}

// A command whose supervisor is gone before it began is one that was never started.
void die_with(pid_t supervisor) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != supervisor) ::_exit(127);
}

// The supervisor's leave to go on. Should it die before giving it, so do we.
void await_leave(int fd) {
  char byte = 0;
  ssize_t size = 0;
  do {
    size = ::read(fd, &byte, 1);
  } while (size < 0 && errno == EINTR);
  if (size != 1) ::_exit(127);
}

}  // namespace

Preparation::Preparation(const wire::LaunchSpec& wanted, pid_t task_id, const OriginalProcess& own)
    : spec(wanted),
      original(own),
      arguments(spec.exec),
      environment(child_environment(spec, task_id)),
      files(candidates(spec.exec.front(), environment)),
      argv(pointers(arguments)),
      envp(pointers(environment)) {
  for (const auto& [name, pair] : spec.limits) {
    if (auto resource = wire::resource_number(name)) limits.push_back({*resource, {pair.first, pair.second}});
  }
}

void run_child(Preparation& p, const ChildEnds& ends, int report_fd, int leave_fd, pid_t supervisor) {
  die_with(supervisor);
  if (leave_fd >= 0) await_leave(leave_fd);
  if (::setsid() < 0) give_up(report_fd, Step::kSession);
  raise_oom_score();
  place_streams(ends, report_fd);
  apply_limits(p, report_fd);
  errno = 0;
  if (p.spec.nice != 0 && ::nice(p.spec.nice) == -1 && errno != 0) give_up(report_fd, Step::kNice);
  if (p.spec.user) {
    become_user(*p.spec.user, report_fd);
    withhold_closed_pool(p);
  }
  die_with(supervisor);  // again: a change of user clears it
  if (!p.spec.cwd.empty() && ::chdir(p.spec.cwd.c_str()) != 0) give_up(report_fd, Step::kDirectory);
  ::umask(p.spec.umask);
  reset_signals();
  if (!p.spec.kill_on_supervisor_death) {
    ::prctl(PR_SET_PDEATHSIG, 0);
    if (::getppid() != supervisor) ::_exit(127);
  }
  execute(p, report_fd);
}

tl::unexpected<Failure> describe(const ChildFailure& failure, const wire::LaunchSpec& spec) {
  auto because = [&](ErrorCode code, std::string what) {
    what.append(": ").append(std::strerror(failure.error));
    return fail(Failure{code, std::move(what), failure.error, nullptr});
  };
  switch (failure.step) {
    case Step::kSession:
      return because(ErrorCode::kExecFailed, "cannot make a session for the child");
    case Step::kStreams:
      return because(ErrorCode::kTooManyFiles, "cannot set up the child's streams");
    case Step::kLimits:
      return because(ErrorCode::kBadArgument, "cannot set the resource limits asked for ('limits')");
    case Step::kNice:
      return because(ErrorCode::kBadArgument, "cannot set the niceness asked for ('nice')");
    case Step::kUser:
      return because(ErrorCode::kDenied, "cannot become user '" + spec.user->name + "' ('user')");
    case Step::kDirectory:
      return because(ErrorCode::kExecFailed, "cannot change to the directory '" + spec.cwd + "' ('cwd')");
    case Step::kExec:
      return because(ErrorCode::kExecFailed, "cannot execute '" + spec.exec.front() + "'");
  }
  __builtin_unreachable();
}

}  // namespace bgtask::supervisor
