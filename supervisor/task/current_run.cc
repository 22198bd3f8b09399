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

}  // namespace

CurrentRun::CurrentRun(io::Loop& loop, Lifecycle& life, TaskProcesses& processes,
                       const std::unique_ptr<OutputStreams>& output, StdinQueue& stdin_queue,
                       Listener listener)
    : life_(life),
      processes_(processes),
      output_(output),
      stdin_(stdin_queue),
      listener_(std::move(listener)),
      adopted_child_(loop, {[this] { output_->drain(); },
                            [this](Outcome outcome) { child_ended(std::move(outcome)); }}) {}

Status CurrentRun::start(const wire::LaunchSpec& full, pid_t id, const OriginalProcess& original,
                         const std::function<Status(pid_t)>& announce) {
  io::UniqueFd lock;
  if (!full.lock_file.empty()) {
    auto acquired = acquire_lock_file(full.lock_file);
    if (!acquired) return fail(std::move(acquired).error());
    lock = std::move(*acquired);
  }
  auto child = start_child(full, id, original, processes_.group ? &*processes_.group : nullptr, announce);
  if (!child) return fail(std::move(child).error());
  life_.started(child->pid, wall_clock());
  processes_.forget_oom_kills();
  adopted_ = false;
  processes_.tree.forget_adopted_child();
  processes_.tree.set_own_child(child->pid);
  handle_ = std::move(child->pidfd);
  lock_file_ = std::move(lock);
  start_ticks_ = child->start_ticks;
  stdin_.open(std::move(child->streams.stdin_pipe));
  Status attached = output_->attach(StreamId::kStdout, std::move(child->streams.stdout_pipe));
  if (attached) attached = output_->attach(StreamId::kStderr, std::move(child->streams.stderr_pipe));
  if (attached) attached = output_->attach(StreamId::kData, std::move(child->streams.data_socket));
  if (!attached) ::kill(child->pid, SIGKILL);  // reaped like any other end
  return attached;
}

Status CurrentRun::announce(pid_t child) {
  Look look;
  auto stat = process_stat(child, &look);
  if (!stat) return fail_errno("cannot look at the child", look.error != 0 ? look.error : ENOENT);
  start_ticks_ = stat->start_ticks;
  life_.started(child, wall_clock());
  return {};
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
