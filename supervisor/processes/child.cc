#include "supervisor/processes/child.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/sched.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>

#include "protocol/io/files.h"
#include "protocol/io/process_stat.h"
#include "protocol/ring/format.h"
#include "supervisor/processes/process.h"

namespace bgtask::supervisor {
namespace {

// unix_dgram_sendmsg refuses what is longer than the send buffer less 32 bytes, and the kernel doubles the
// size asked for: so this makes a message of kMaxMessage the longest that can be sent (EMSGSIZE beyond).
constexpr int kDataSendBuffer = (static_cast<int>(ring::kMaxMessage) + 32) / 2;
constexpr int kExecTimeoutMs = 20'000;
constexpr int kOomScoreOfChild = 200;  // above the supervisor's: it is to be the survivor

// What the child reports through the pipe when something fails before the exec.
enum class Step : int { kSession, kStreams, kLimits, kNice, kUser, kDirectory, kExec };
struct ChildFailure {
  Step step;
  int error;
};

struct Pipe {
  io::UniqueFd read;
  io::UniqueFd write;
};

Result<Pipe> make_pipe() {
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) != 0) return fail_errno("cannot make a pipe", errno);
  return Pipe{io::UniqueFd(fds[0]), io::UniqueFd(fds[1])};
}

Status set_nonblocking(const io::UniqueFd& fd) {
  int flags = ::fcntl(fd.get(), F_GETFL);
  if (flags < 0 || ::fcntl(fd.get(), F_SETFL, flags | O_NONBLOCK) < 0) {
    return fail_errno("cannot make a descriptor non-blocking", errno);
  }
  return {};
}

// The child's end of an output pipe. Opened read-write it is also a reader of itself, so that the child is
// not killed by SIGPIPE when the supervisor dies, and an adopter can open it again through /proc. End-of-file
// still works: it comes when the last process that holds it is gone.
Result<io::UniqueFd> survivable_end(const io::UniqueFd& write_end) {
  char path[64];
  std::snprintf(path, sizeof path, "/proc/self/fd/%d", write_end.get());
  io::UniqueFd fd(::open(path, O_RDWR | O_CLOEXEC));
  if (!fd) return fail_errno("cannot open the child's end of a pipe", errno);
  return fd;
}

// The child's ends, which become its descriptors 0 to 3.
struct ChildEnds {
  io::UniqueFd fds[4];
};

// So that a child that is somebody else may open /dev/stdin and /dev/stdout.
Status hand_to_user(const wire::LaunchSpec& spec, const io::UniqueFd& end) {
  if (spec.user && ::fchown(end.get(), spec.user->uid, spec.user->gid) != 0) {
    return fail_errno("cannot hand a pipe to the child's user", errno);
  }
  return {};
}

Status make_stdin(const wire::LaunchSpec& spec, ChildStreams& ours, ChildEnds& theirs) {
  if (!spec.stdin_pipe) {
    theirs.fds[0].reset(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (!theirs.fds[0]) return fail_errno("cannot open /dev/null", errno);
    return {};
  }
  auto pipe = make_pipe();
  if (!pipe) return fail(std::move(pipe).error());
  theirs.fds[0] = std::move(pipe->read);
  ours.stdin_pipe = std::move(pipe->write);
  if (Status handed = hand_to_user(spec, theirs.fds[0]); !handed) return handed;
  return set_nonblocking(ours.stdin_pipe);
}

Status make_output(const wire::LaunchSpec& spec, io::UniqueFd& ours, io::UniqueFd& theirs) {
  auto pipe = make_pipe();
  if (!pipe) return fail(std::move(pipe).error());
  ours = std::move(pipe->read);
  theirs = std::move(pipe->write);
  if (!spec.kill_on_supervisor_death) {
    auto end = survivable_end(theirs);
    if (!end) return fail(std::move(end).error());
    theirs = std::move(*end);
  }
  if (Status handed = hand_to_user(spec, theirs); !handed) return handed;
  return set_nonblocking(ours);
}

// Our end of the data channel, put into flight to the child's own end: while the child's end is open, so is
// ours, and the child is not killed by SIGPIPE when the supervisor dies. An adopter peeks it out of the queue
// again. The kernel limits how many a user may have in flight (ETOOMANYREFS): the task then does without.
void keep_in_flight(const io::UniqueFd& end) {
  char byte = 0;
  iovec part{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  int fd = end.get();
  std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
  static_cast<void>(::sendmsg(end.get(), &message, MSG_NOSIGNAL));
}

Status make_data_channel(const wire::LaunchSpec& spec, io::UniqueFd& ours, io::UniqueFd& theirs) {
  int fds[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0) {
    return fail_errno("cannot make the data channel", errno);
  }
  ours.reset(fds[0]);
  theirs.reset(fds[1]);
  // Before credentials are asked for: a socket that sends with them is given an abstract name, and we have
  // none.
  if (!spec.kill_on_supervisor_death) keep_in_flight(ours);
  // With credentials every message has something beside its bytes: an empty one differs from the end.
  int on = 1;
  if (::setsockopt(ours.get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0 ||
      ::setsockopt(theirs.get(), SOL_SOCKET, SO_SNDBUF, &kDataSendBuffer, sizeof kDataSendBuffer) != 0) {
    return fail_errno("cannot set up the data channel", errno);
  }
  return set_nonblocking(ours);
}

Status make_streams(const wire::LaunchSpec& spec, ChildStreams& ours, ChildEnds& theirs) {
  Status made = make_stdin(spec, ours, theirs);
  if (made) made = make_output(spec, ours.stdout_pipe, theirs.fds[1]);
  if (made) made = make_output(spec, ours.stderr_pipe, theirs.fds[2]);
  if (made) made = make_data_channel(spec, ours.data_socket, theirs.fds[kChildDataFd]);
  return made;
}

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

// Everything the forked child needs, made before the fork: after it nothing allocates.
struct Preparation {
  const wire::LaunchSpec& spec;
  const OriginalProcess& original;
  std::vector<std::string> arguments;
  std::vector<std::string> environment;
  std::vector<std::string> files;
  std::vector<char*> argv;
  std::vector<char*> envp;
  std::vector<std::pair<int, rlimit>> limits;

  Preparation(const wire::LaunchSpec& wanted, pid_t task_id, const OriginalProcess& own)
      : spec(wanted),
        original(own),
        arguments(spec.exec),
        environment(child_environment(spec, task_id)),
        files(candidates(spec.exec.front(), environment)),
        argv(pointers(arguments)),
        envp(pointers(environment)) {
    for (const auto& [name, pair] : spec.limits) {
      if (auto resource = wire::resource_number(name))
        limits.push_back({*resource, {pair.first, pair.second}});
    }
  }
};

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
  ::close_range(4, ~0U, CLOSE_RANGE_CLOEXEC);
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
  rlimit core{};
  ::getrlimit(RLIMIT_CORE, &core);
  core.rlim_cur = p.original.core_soft_limit;
  ::setrlimit(RLIMIT_CORE, &core);
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

[[noreturn]] void run_child(Preparation& p, const ChildEnds& ends, int report_fd, int leave_fd,
                            pid_t supervisor) {
  die_with(supervisor);
  if (leave_fd >= 0) await_leave(leave_fd);
  if (::setsid() < 0) give_up(report_fd, Step::kSession);
  raise_oom_score();
  place_streams(ends, report_fd);
  apply_limits(p, report_fd);
  errno = 0;
  if (p.spec.nice != 0 && ::nice(p.spec.nice) == -1 && errno != 0) give_up(report_fd, Step::kNice);
  if (p.spec.user) become_user(*p.spec.user, report_fd);
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

// ---- In the supervisor again. ----

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

void end_and_reap(pid_t pid) {
  ::kill(pid, SIGKILL);  // un-reaped, so still that process
  while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
}

// Until the pipe closes (the exec succeeded) or says why not.
Status await_exec(int report_fd, pid_t pid, const wire::LaunchSpec& spec) {
  pollfd ready{report_fd, POLLIN, 0};
  int n = ::poll(&ready, 1, kExecTimeoutMs);
  while (n < 0 && errno == EINTR)
    n = ::poll(&ready, 1, kExecTimeoutMs);
  if (n == 0) {
    end_and_reap(pid);
    return fail(ErrorCode::kUnresponsive, "executing '" + spec.exec.front() + "' did not finish in time");
  }
  ChildFailure failure{};
  ssize_t size = 0;
  do {
    size = ::read(report_fd, &failure, sizeof failure);
  } while (size < 0 && errno == EINTR);
  if (size == 0) return {};
  end_and_reap(pid);
  if (size != sizeof failure) return fail(ErrorCode::kExecFailed, "the child ended before its exec");
  return describe(failure, spec);
}

Status announce_child(const std::function<Status(pid_t)>& announce, pid_t pid, const io::UniqueFd& leave) {
  Status told = announce(pid);
  if (told) told = io::write_all(leave.get(), "x");
  if (!told) end_and_reap(pid);
  return told;
}

// The pipe closes as well when the child is killed before its exec.
Status look_at(StartedChild& child) {
  auto stat = io::process_stat(child.pid);
  if (!stat) return fail_errno("cannot look at the child", stat.error().os_error);
  if (stat->before_exec) return fail(ErrorCode::kExecFailed, "the child ended before its exec");
  child.start_ticks = stat->start_ticks;
  child.pidfd = open_pidfd(child.pid);
  if (!child.pidfd) return fail_errno("cannot get a handle on the child", errno, ErrorCode::kTooManyFiles);
  return {};
}

// Without what fork() does beside: the library's handlers and libuv's are for children that go on to use
// them, and this one makes system calls only (see above).
pid_t fork_into(const ControlGroup* group) {
  if (group == nullptr) return ::_Fork();
  clone_args arguments{};
  arguments.flags = CLONE_INTO_CGROUP;
  arguments.exit_signal = SIGCHLD;
  arguments.cgroup = static_cast<uint64_t>(group->directory());
  return static_cast<pid_t>(::syscall(SYS_clone3, &arguments, sizeof arguments));
}

// Into a group that is delegated to a user, the user's processes come only from within what is delegated.
tl::unexpected<Failure> cannot_fork(const ControlGroup* group, int error) {
  if (group == nullptr || error == EAGAIN || error == ENOMEM)
    return fail_errno("cannot fork", error, ErrorCode::kProcessLimit);
  std::string what = "cannot start the command in the control group " + group->path();
  if (error == EACCES) what += " from outside of what is delegated";
  return fail_errno(std::move(what), error, ErrorCode::kDenied);
}

}  // namespace

Result<StartedChild> start_child(const wire::LaunchSpec& spec, pid_t task_id, const OriginalProcess& original,
                                 const ControlGroup* group, const std::function<Status(pid_t)>& announce) {
  StartedChild child;
  ChildEnds ends;
  if (Status made = make_streams(spec, child.streams, ends); !made) return fail(std::move(made).error());
  auto report = make_pipe();
  if (!report) return fail(std::move(report).error());
  Pipe leave;
  if (announce) {
    auto made = make_pipe();
    if (!made) return fail(std::move(made).error());
    leave = std::move(*made);
  }
  Preparation preparation(spec, task_id, original);
  const pid_t supervisor = ::getpid();
  child.pid = fork_into(group);
  if (child.pid == 0) run_child(preparation, ends, report->write.get(), leave.read.get(), supervisor);
  if (child.pid < 0) return cannot_fork(group, errno);
  report->write.reset();
  if (announce) {
    if (Status told = announce_child(announce, child.pid, leave.write); !told)
      return fail(std::move(told).error());
  }
  if (Status done = await_exec(report->read.get(), child.pid, spec); !done)
    return fail(std::move(done).error());
  if (Status known = look_at(child); !known) {
    end_and_reap(child.pid);
    return fail(std::move(known).error());
  }
  return child;
}

}  // namespace bgtask::supervisor
