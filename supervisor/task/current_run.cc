#include "supervisor/task/current_run.h"

#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "supervisor/processes/lock_file.h"
#include "supervisor/processes/process.h"
#include "supervisor/task/wall_clock.h"

namespace bgtask::supervisor {
namespace {

// The system call fills the rusage that the library's waitid has no parameter for.
int wait_child(idtype_t type, pid_t pid, siginfo_t& info, int options, struct rusage* usage) {
  info = {};
  long result = 0;
  do {
    result = ::syscall(SYS_waitid, type, pid, &info, options, usage);
  } while (result < 0 && errno == EINTR);
  return static_cast<int>(result);
}

Outcome outcome_of(const siginfo_t& info) {
  Outcome outcome;
  if (info.si_code == CLD_EXITED) {
    outcome.exit_code = info.si_status;
  } else {
    outcome.signal = info.si_status;
    outcome.core_dumped = info.si_code == CLD_DUMPED;
  }
  return outcome;
}

Status take_lock(const std::string& path, io::UniqueFd& held) {
  if (path.empty()) return {};
  auto lock = acquire_lock_file(path);
  if (!lock) return fail(std::move(lock).error());
  held = std::move(*lock);
  return {};
}

}  // namespace

CurrentRun::CurrentRun(io::Loop& loop, Lifecycle& life, TaskProcesses& processes,
                       const std::unique_ptr<OutputStreams>& output, StdinQueue& stdin_queue,
                       Listener listener)
    : loop_(loop),
      life_(life),
      processes_(processes),
      output_(output),
      stdin_(stdin_queue),
      listener_(std::move(listener)),
      adopted_child_(loop, {[this] { output_->drain(); },
                            [this](Outcome outcome) { child_ended(std::move(outcome)); }}) {}

Status CurrentRun::start(const wire::LaunchSpec& full, pid_t id, const OriginalProcess& original) {
  if (Status locked = take_lock(full.lock_file, lock_file_); !locked) return locked;
  auto child = start_child(full, id, original, processes_.group ? &*processes_.group : nullptr);
  if (!child) {
    lock_file_.reset();
    return fail(std::move(child).error());
  }
  life_.started(child->pid, wall_clock());
  return use(std::move(*child));
}

Status CurrentRun::start_again(wire::LaunchSpec full, pid_t id, const OriginalProcess& original) {
  if (Status locked = take_lock(full.lock_file, lock_file_); !locked) return locked;
  auto forked = ForkedChild::fork(full, id, original, processes_.group ? &*processes_.group : nullptr,
                                  ForkedChild::Begin::kHeld);
  Status begun = forked ? begin_pending_start(std::move(*forked), std::move(full))
                        : Status(fail(std::move(forked).error()));
  if (!begun) lock_file_.reset();
  return begun;
}

Status CurrentRun::begin_pending_start(ForkedChild forked, wire::LaunchSpec full) {
  const pid_t pid = forked.pid();
  Look look;
  auto stat = process_stat(pid, &look);
  if (!stat) {
    forked.end();
    return fail_errno("cannot look at the child", look.error != 0 ? look.error : ENOENT);
  }
  before_start_ = life_;
  start_ticks_ = stat->start_ticks;
  life_.started(pid, wall_clock());
  processes_.tree.set_own_child(pid);
  pending_start_.emplace(
      loop_, std::move(forked), std::move(full),
      PendingStart::Listener{[this](StartedChild child) {
                               pending_start_.reset();
                               const Status used = use(std::move(child));
                               listener_.changed();
                               listener_.restarted(used);
                             },
                             [this](const Failure& failure, bool reaped) { start_failed(failure, reaped); }});
  // Killed from here on, the supervisor leaves a status that names the command which may be running. Where
  // there is no space for it, it is written later, and the command need not wait for that.
  listener_.changed();
  Status begun = pending_start_->begin();
  if (!begun) restore();
  return begun;
}

void CurrentRun::restore() {
  pending_start_.reset();
  life_ = before_start_;
  processes_.tree.set_own_child(std::nullopt);
  lock_file_.reset();
  listener_.changed();
}

void CurrentRun::start_failed(const Failure& failure, bool reaped) {
  const Status outcome = fail(Failure(failure));
  if (reaped) restore();
  listener_.restarted(outcome);
  if (reaped) listener_.ended();  // again: who came meanwhile to wait for the end is told
}

void CurrentRun::give_up_start(Failure why) {
  if (pending_start_) pending_start_->give_up(std::move(why));
}

// The command runs.
Status CurrentRun::use(StartedChild child) {
  processes_.forget_oom_kills();
  usage_.reset();
  adopted_ = false;
  processes_.tree.forget_adopted_child();
  processes_.tree.set_own_child(child.pid);
  handle_ = std::move(child.pidfd);
  start_ticks_ = child.start_ticks;
  stdin_.open(std::move(child.streams.stdin_pipe));
  Status attached = output_->attach(StreamId::kStdout, std::move(child.streams.stdout_pipe));
  if (attached) attached = output_->attach(StreamId::kStderr, std::move(child.streams.stderr_pipe));
  if (attached) attached = output_->attach(StreamId::kData, std::move(child.streams.data_socket));
  if (!attached) ::kill(child.pid, SIGKILL);  // reaped like any other end
  return attached;
}

Status CurrentRun::adopt(PublishedChild child, io::UniqueFd lock) {
  adopted_ = true;
  processes_.tree.adopt_child(child.pid, child.start_ticks);
  handle_ = std::move(child.handle);
  start_ticks_ = child.start_ticks;
  lock_file_ = std::move(lock);
  return adopted_child_.watch(handle_);
}

void CurrentRun::reap() {
  siginfo_t change{};
  // Peeked at first: while the child is a zombie its pid and group cannot be anybody else's.
  while (wait_child(P_ALL, 0, change, WEXITED | WSTOPPED | WCONTINUED | WNOHANG | WNOWAIT, nullptr) == 0 &&
         change.si_pid != 0) {
    if (pending_start_ && pending_start_->pid() == change.si_pid) {
      pending_start_->child_changed(change);
      continue;
    }
    if (life_.child() == change.si_pid && !adopted_) {
      child_changed(change);
      continue;
    }
    siginfo_t taken{};
    wait_child(P_PID, change.si_pid, taken, WEXITED | WSTOPPED | WCONTINUED | WNOHANG, nullptr);
  }
}

void CurrentRun::child_changed(const siginfo_t& change) {
  struct rusage usage {};
  siginfo_t taken{};
  if (change.si_code == CLD_STOPPED || change.si_code == CLD_TRAPPED || change.si_code == CLD_CONTINUED) {
    // The child may have gone on or ended since the peek: what is taken counts, and an end is not taken here.
    wait_child(P_PID, change.si_pid, taken, WSTOPPED | WCONTINUED | WNOHANG, nullptr);
    if (taken.si_pid == 0) return;
    bool changed = taken.si_code == CLD_CONTINUED ? life_.continued() : life_.stopped();
    if (changed) listener_.changed();
    return;
  }
  output_->drain();
  const Outcome outcome = outcome_of(change);
  wait_child(P_PID, change.si_pid, taken, WEXITED | WNOHANG, &usage);
  usage_ = usage;
  child_ended(outcome);
}

// From here on the pid may be somebody else's. The end itself is told once the output is in.
void CurrentRun::child_ended(Outcome outcome) {
  if (outcome.signal == SIGKILL && processes_.oom_killed_since()) outcome.reason = "out_of_memory";
  life_.reaped();
  adopted_ = false;
  processes_.tree.forget_adopted_child();
  processes_.tree.set_own_child(std::nullopt);
  handle_.reset();
  stdin_.abandon();
  lock_file_.reset();
  pending_end_ = std::move(outcome);
  settle_end(false);
}

void CurrentRun::settle_end(bool whatever_is_left) {
  if (!pending_end_) return;
  output_->drain();
  // With overflow "block" the last output may have to wait for a reader, and the end waits with it.
  if (!pending_end_ || (output_->blocked() && !whatever_is_left)) return;
  life_.ended(*std::exchange(pending_end_, std::nullopt), wall_clock());
  listener_.changed();
  listener_.ended();
}

void CurrentRun::refresh_adopted_state() {
  if (!adopted_ || !life_.child()) return;
  auto stat = process_stat(*life_.child());
  if (!stat || stat->start_ticks != start_ticks_) return;
  if (stat->state == 'T' ? life_.stopped() : life_.continued()) listener_.changed();
}

uint64_t CurrentRun::pipe_inode(StreamId stream) const {
  if (!pending_start_) return output_->pipe_inode(stream);
  const ChildStreams& streams = pending_start_->streams();
  return supervisor::pipe_inode(stream == StreamId::kStdout ? streams.stdout_pipe : streams.stderr_pipe);
}

bool CurrentRun::child_lives() const {
  auto stat = life_.child() ? process_stat(*life_.child()) : std::nullopt;
  return stat && !stat->dead() && stat->start_ticks == start_ticks_;
}

bool CurrentRun::child_stopped() const {
  if (life_.state() == State::kPaused) return true;
  auto stat = life_.child() ? process_stat(*life_.child()) : std::nullopt;
  return stat && stat->start_ticks == start_ticks_ && stat->state == 'T';
}

}  // namespace bgtask::supervisor
