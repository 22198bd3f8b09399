#include "supervisor/processes/child.h"

#include <linux/sched.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <utility>

#include "protocol/io/files.h"
#include "protocol/io/pidfd.h"
#include "supervisor/processes/process.h"

namespace bgtask::supervisor {
namespace {

// _Fork skips the handlers that fork() runs for the library and libuv: the child makes system calls only and
// needs none of them (see run_child).
pid_t fork_into(const ControlGroup* group) {
  if (group == nullptr) return ::_Fork();
  clone_args arguments{};
  arguments.flags = CLONE_INTO_CGROUP;
  arguments.exit_signal = SIGCHLD;
  arguments.cgroup = static_cast<uint64_t>(group->directory());
  return static_cast<pid_t>(::syscall(SYS_clone3, &arguments, sizeof arguments));
}

// A user may move processes into a delegated group only from within what is delegated (EACCES).
tl::unexpected<Failure> cannot_fork(const ControlGroup* group, int error) {
  if (group == nullptr || error == EAGAIN || error == ENOMEM)
    return fail_errno("cannot fork", error, ErrorCode::kProcessLimit);
  std::string what = "cannot start the command in the control group " + group->path();
  if (error == EACCES) what += " from outside of what is delegated";
  return fail_errno(std::move(what), error, ErrorCode::kDenied);
}

tl::unexpected<Failure> ended_before_exec() {
  return fail(ErrorCode::kExecFailed, "the child ended before its exec");
}

}  // namespace

Result<ForkedChild> ForkedChild::fork(const wire::LaunchSpec& spec, pid_t task_id,
                                      const OriginalProcess& original, const ControlGroup* group,
                                      Begin begin) {
  ForkedChild forked;
  ChildEnds ends;
  if (Status made = make_child_streams(spec, forked.child_.streams, ends); !made)
    return fail(std::move(made).error());
  auto report = make_pipe();
  if (!report) return fail(std::move(report).error());
  Pipe leave;
  if (begin == Begin::kHeld) {
    auto made = make_pipe();
    if (!made) return fail(std::move(made).error());
    leave = std::move(*made);
  }
  Preparation preparation(spec, task_id, original);
  const pid_t supervisor = ::getpid();
  const pid_t pid = fork_into(group);
  if (pid == 0) run_child(preparation, ends, report->write.get(), leave.read.get(), supervisor);
  if (pid < 0) return cannot_fork(group, errno);
  forked.child_.pid = pid;
  forked.child_.pidfd = open_pidfd(pid);
  if (!forked.child_.pidfd) {
    const int error = errno;
    forked.end();
    return fail_errno("cannot get a handle on the child", error, ErrorCode::kTooManyFiles);
  }
  forked.report_ = std::move(report->read);
  forked.leave_ = std::move(leave.write);
  return forked;
}

Status ForkedChild::proceed() {
  Status told = io::write_all(leave_.get(), "x");
  leave_.reset();
  return told;
}

Result<StartedChild> ForkedChild::outcome(const wire::LaunchSpec& spec) {
  ChildFailure failure{};
  ssize_t size = 0;
  do {
    size = ::read(report_.get(), &failure, sizeof failure);
  } while (size < 0 && errno == EINTR);
  if (size == sizeof failure) return describe(failure, spec);
  if (size != 0) return ended_before_exec();
  // The pipe closes at the exec, and also when the process is killed before it.
  auto stat = io::process_stat(child_.pid);
  if (!stat) return fail_errno("cannot look at the child", stat.error().os_error);
  if (stat->before_exec) return ended_before_exec();
  child_.start_ticks = stat->start_ticks;
  return std::move(child_);
}

void ForkedChild::kill() const {
  ::pidfd_send_signal(child_.pidfd.get(), SIGKILL, nullptr, 0);
}

void ForkedChild::end() const {
  ::kill(child_.pid, SIGKILL);  // un-reaped, so still that process
  while (::waitpid(child_.pid, nullptr, 0) < 0 && errno == EINTR) {
  }
}

Failure exec_timed_out(const std::string& command) {
  return Failure{
      ErrorCode::kUnresponsive,
      "executing '" + command + "' did not finish within " + std::to_string(kExecTimeoutMs / 1000) + " s", 0,
      nullptr};
}

Result<StartedChild> start_child(const wire::LaunchSpec& spec, pid_t task_id, const OriginalProcess& original,
                                 const ControlGroup* group) {
  auto forked = ForkedChild::fork(spec, task_id, original, group, ForkedChild::Begin::kAtOnce);
  if (!forked) return fail(std::move(forked).error());
  pollfd ready{forked->report_fd(), POLLIN, 0};
  int n = 0;
  do {
    n = ::poll(&ready, 1, kExecTimeoutMs);
  } while (n < 0 && errno == EINTR);
  Result<StartedChild> started = n == 0 ? fail(exec_timed_out(spec.exec.front())) : forked->outcome(spec);
  if (!started) forked->end();
  return started;
}

}  // namespace bgtask::supervisor
