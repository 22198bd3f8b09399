#include "supervisor/task/task.h"

#include <linux/ioctl.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "protocol/io/pidfd.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <set>
#include <utility>

#include "protocol/wire/codec.h"
#include "protocol/wire/limits.h"
#include "protocol/wire/methods.h"
#include "supervisor/processes/adoption.h"
#include "supervisor/processes/lock_file.h"
#include "supervisor/processes/process.h"

namespace bgtask::supervisor {
namespace {

constexpr uint64_t kPublishRetryMs = 1000;
constexpr uint64_t kReapedRetryMs = 10;
constexpr int kReapedTries = 100;

double wall_clock() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

double seconds_of_ticks(uint64_t ticks) {
  return static_cast<double>(ticks) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

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

// Signals whose default is to end a process. One that is stopped takes them only once it goes on.
bool ends_by_default(int signal) {
  static constexpr int kOthers[] = {SIGCHLD, SIGCONT, SIGSTOP,  SIGTSTP, SIGTTIN,
                                    SIGTTOU, SIGURG,  SIGWINCH, SIGKILL};
  return std::find(std::begin(kOthers), std::end(kOthers), signal) == std::end(kOthers);
}

void merge(Json& target, const Json& patch) {
  for (const auto& [key, value] : patch.items()) {
    if (value.is_null()) {
      target.erase(key);
    } else if (value.is_object()) {
      Json& member = target[key];
      if (!member.is_object()) member = Json::object();
      merge(member, value);
    } else {
      target[key] = value;
    }
  }
}

Json position_json(const ring::Positions& positions, uint64_t capacity) {
  Json position = Json::object();
  position["start"] = positions.start;
  position["consumed"] = positions.consumed;
  position["limit"] = positions.limit;
  position["lost"] = positions.lost;
  position["eof"] = positions.eof;
  position["error"] = positions.error != 0 ? Json(::strerrorname_np(positions.error)) : Json(nullptr);
  position["capacity"] = capacity;
  return position;
}

Json rusage_json(double user_seconds, double system_seconds, uint64_t max_rss) {
  Json usage = Json::object();
  usage["user_seconds"] = user_seconds;
  usage["system_seconds"] = system_seconds;
  usage["max_rss"] = max_rss;
  return usage;
}

}  // namespace

Task::Task(io::Loop& loop, TaskFiles files, wire::LaunchSpec spec, const OriginalProcess& original)
    : loop_(loop),
      files_(std::move(files)),
      spec_(std::move(spec)),
      original_(original),
      id_(::getpid()),
      meta_(spec_.meta),
      stdin_(loop),
      tree_(spec_.token) {
  auto self = process_stat(id_);
  supervisor_start_ = self ? self->start_ticks : 0;
}

// Read once: without it nobody could tell our child from one that has its pid after a reboot.
Status Task::know_boot() {
  auto boot = io::boot_id();
  if (!boot) return fail(std::move(boot).error());
  boot_id_ = std::move(*boot);
  return {};
}

Status Task::prepare() {
  if (Status known = know_boot(); !known) return known;
  auto group = ControlGroup::create(spec_, id_);
  if (!group) return fail(std::move(group).error());
  use(std::move(*group));
  auto rings = Rings::create(files_.directory(), spec_);
  if (!rings) return fail(std::move(rings).error());
  use(std::move(*rings));
  if (spec_.rings_in_memory) return {};
  for (const char* ring : {"stdout", "stderr", "data", "index"}) {
    if (Status shared = files_.share(ring); !shared) return shared;
  }
  return {};
}

void Task::use(std::unique_ptr<Rings> rings) {
  auto output = [this] {
    if (listener_.output) listener_.output();
  };
  auto stream_end = [this](StreamId stream) {
    publish();
    if (listener_.stream_end) listener_.stream_end(stream);
  };
  output_ =
      std::make_unique<OutputStreams>(loop_, std::move(rings), OutputStreams::Listener{output, stream_end});
}

void Task::use(std::optional<ControlGroup> group) {
  group_ = std::move(group);
  tree_.set_group(group_ ? &*group_ : nullptr);
}

// The kernel counts what it kills in the group and does not say what it was: a kill before now was not that
// of the child.
void Task::forget_oom_kills() {
  oom_kills_before_ = group_ ? group_->oom_kills() : 0;
}

Status Task::remove() {
  if (Status removed = files_.remove(); !removed) return removed;
  if (group_) group_->remove();
  return {};
}

Status Task::start() {
  if (Status started = run(spec_, nullptr); !started) return started;
  std::vector<std::string>().swap(spec_.env);  // neither is needed again: a restart reads the launch file
  spec_.meta = nullptr;
  Json published = document();
  published["supervision"] = supervision();  // only adopters need it, and they read the file
  Status written = files_.write_status(published);
  if (!written) tree_.signal_all(SIGKILL);  // what nobody can find was not started
  return written;
}

Status Task::run(const wire::LaunchSpec& full, const std::function<Status(pid_t)>& announce) {
  io::UniqueFd lock;
  if (!full.lock_file.empty()) {
    auto acquired = acquire_lock_file(full.lock_file);
    if (!acquired) return fail(std::move(acquired).error());
    lock = std::move(*acquired);
  }
  auto child = start_child(full, id_, original_, group_ ? &*group_ : nullptr, announce);
  if (!child) return fail(std::move(child).error());
  life_.started(child->pid, wall_clock());
  forget_oom_kills();
  adopted_ = false;
  tree_.forget_adopted_child();
  tree_.set_own_child(child->pid);
  child_handle_ = std::move(child->pidfd);
  lock_file_ = std::move(lock);
  child_start_ = child->start_ticks;
  stdin_.open(std::move(child->streams.stdin_pipe));
  Status attached = output_->attach(StreamId::kStdout, std::move(child->streams.stdout_pipe));
  if (attached) attached = output_->attach(StreamId::kStderr, std::move(child->streams.stderr_pipe));
  if (attached) attached = output_->attach(StreamId::kData, std::move(child->streams.data_socket));
  if (!attached) ::kill(child->pid, SIGKILL);  // reaped like any other end
  return attached;
}

Status Task::take_over(const Json& published, std::vector<pid_t> former_ids) {
  if (Status known = know_boot(); !known) return known;
  former_ids_ = std::move(former_ids);
  tree_.look_everywhere();
  if (same_boot(published, boot_id_))
    use(ControlGroup::take_over(published["supervision"].value("cgroup", "")));
  forget_oom_kills();
  auto rings = Rings::take_over(files_.directory(), spec_, published);
  if (!rings) return fail(std::move(rings).error());
  use(std::move(*rings));
  std::vector<std::string>().swap(spec_.env);
  if (published.contains("meta") && published["meta"].is_object()) meta_ = published["meta"];
  actions_.resume(published.value("actions", Json::array()));
  auto looked = find_published_child(published, boot_id_);
  if (!looked) return fail(std::move(looked).error());
  std::optional<PublishedChild>& child = *looked;
  bool was_running = published.at("status").value("running", false);
  // A child that ended while nobody looked has no pid any more, but its end is still to be told.
  std::optional<pid_t> known = was_running ? std::optional<pid_t>(child ? child->pid : 0) : std::nullopt;
  life_ = Lifecycle::resumed(published, known);
  if (child) {
    adopted_ = true;
    tree_.adopt_child(child->pid, child->start_ticks);
    child_handle_ = std::move(child->handle);
    child_start_ = child->start_ticks;
    lock_again();
    if (Status watched = watch_child(); !watched) return watched;
  } else if (was_running) {
    life_.ended(Outcome{{}, 0, false, "unknown"}, wall_clock());  // whoever reaped it knows how
  }
  if (same_boot(published, boot_id_)) reattach_streams(life_.child(), published);
  for (StreamId stream : kOutputStreams)
    output_->end_if_unattached(stream);
  publish();
  return {};
}

// The lock went with the supervisor; somebody else may have it by now, and the child runs all the same.
void Task::lock_again() {
  if (spec_.lock_file.empty()) return;
  auto lock = acquire_lock_file(spec_.lock_file);
  if (lock) {
    lock_file_ = std::move(*lock);
  } else {
    files_.log("adopted without its lock: " + lock.error().message);
  }
}

void Task::reattach_streams(std::optional<pid_t> child, const Json& published) {
  AdoptedStreams streams = recover_streams(child, tree_.members(), published);
  auto attach = [&](StreamId stream, io::UniqueFd fd) {
    if (!fd) return;
    if (Status attached = output_->attach(stream, std::move(fd)); !attached) {
      files_.log("stream of the adopted child: " + attached.error().message);
    }
  };
  attach(StreamId::kStdout, std::move(streams.stdout_pipe));
  attach(StreamId::kStderr, std::move(streams.stderr_pipe));
  attach(StreamId::kData, std::move(streams.data_socket));
}

Status Task::watch_child() {
  return child_poll_.start(loop_, child_handle_.get(), UV_READABLE, [this](int) { adopted_child_ended(); });
}

void Task::adopted_child_ended() {
  child_poll_.stop();
  output_->drain();
  settle_adopted_end(kReapedTries);
}

// The kernel tells how a process ended once its parent, which is not us, has reaped it.
void Task::settle_adopted_end(int tries) {
  ExitStatus status = exit_status_of(child_handle_);
  if (status.kind == ExitStatus::Kind::kNotYet && tries > 0) {
    adopted_end_.start(loop_, kReapedRetryMs, [this, tries] { settle_adopted_end(tries - 1); });
    return;
  }
  bool known = status.kind == ExitStatus::Kind::kKnown;
  child_ended(known ? outcome_of_wait_status(status.wait_status) : Outcome{{}, 0, false, "unknown"});
}

Result<Json> Task::restart() {
  if (life_.alive()) {
    return Json{{"restarted", false}, {"child_pid", life_.child() ? Json(*life_.child()) : Json(nullptr)}};
  }
  auto encoded = files_.read_launch();
  if (!encoded) return fail(std::move(encoded).error());
  auto document = wire::decode_msgpack(*encoded, {wire::kMaxDepth, encoded->size()});
  if (!document) return fail(std::move(document).error());
  auto full = wire::launch_spec(*document);
  if (!full) return fail(std::move(full).error());
  full->pool_path = spec_.pool_path;  // of today, should the task have been adopted in a pool that was moved
  const Lifecycle before = life_;
  // Killed from here on, the supervisor leaves a status that names the command which may be running.
  auto announce = [this](pid_t pid) -> Status {
    Look look;
    auto stat = process_stat(pid, &look);
    if (!stat) return fail_errno("cannot look at the child", look.error != 0 ? look.error : ENOENT);
    child_start_ = stat->start_ticks;
    life_.started(pid, wall_clock());
    publish();  // where there is no space it is tried again, and the command need not wait for that
    return {};
  };
  if (Status started = run(*full, announce); !started) {
    bool never_began = !child_handle_;  // else its end is told when it is reaped
    if (never_began) life_ = before;
    publish();
    return fail(std::move(started).error());
  }
  usage_.reset();
  publish();
  return Json{{"restarted", true}, {"child_pid", *life_.child()}};
}

Result<uint64_t> Task::signal_group(int signal) {
  pid_t group = *life_.child();
  uint64_t count = 0;
  for (pid_t pid : tree_.members()) {
    // Only a child of ours keeps its pid, and so the group's number, until we let go of it.
    if (adopted_)
      count += signal_group_member(pid, group, signal) ? 1 : 0;
    else
      count += ::getpgid(pid) == group ? 1 : 0;
  }
  if (!adopted_ && ::kill(-group, signal) != 0)
    return fail_errno("cannot signal the task's process group", errno);
  return count;
}

// The kernel is asked too: a stop may not have been told us yet, and that of an adopted child never is.
bool Task::stopped() const {
  if (life_.state() == State::kPaused) return true;
  auto stat = life_.child() ? process_stat(*life_.child()) : std::nullopt;
  return stat && stat->start_ticks == child_start_ && stat->state == 'T';
}

// It may have ended without our having been told yet.
bool Task::child_lives() const {
  auto stat = life_.child() ? process_stat(*life_.child()) : std::nullopt;
  return stat && !stat->dead() && stat->start_ticks == child_start_;
}

Result<uint64_t> Task::kill(int signal, Scope scope) {
  if (signal == SIGKILL) forget_oom_kills();
  if (scope == Scope::kTree) {
    Look look;
    uint64_t count = tree_.signal_all(signal, &look).size();
    if (count == 0 && !look.complete) return fail_errno("cannot look at the task's processes", look.error);
    if (count == 0 && !child_lives())
      return fail(ErrorCode::kAlreadyExited, "the task has ended and left no descendants");
    if (count == 0) return fail(ErrorCode::kDenied, "none of the task's processes could be signalled");
    if (ends_by_default(signal) && stopped()) tree_.signal_all(SIGCONT);
    return count;
  }
  if (!life_.child()) return fail(ErrorCode::kAlreadyExited, "the task has ended");
  // The child is un-reaped here (for an adopted one the handle says so), and a session leader cannot leave
  // its group: its pid names this group and no other.
  if (::pidfd_send_signal(child_handle_.get(), scope == Scope::kProcess ? signal : 0, nullptr, 0) != 0) {
    if (errno == ESRCH) return fail(ErrorCode::kAlreadyExited, "the task has ended");
    return fail_errno("cannot signal the task", errno);
  }
  uint64_t count = 1;
  if (scope == Scope::kGroup) {
    auto signalled = signal_group(signal);
    if (!signalled) return signalled;
    count = *signalled;
  }
  if (ends_by_default(signal) && stopped()) {
    if (scope == Scope::kProcess)
      ::pidfd_send_signal(child_handle_.get(), SIGCONT, nullptr, 0);
    else
      tree_.signal_all(SIGCONT);
  }
  return std::max<uint64_t>(count, 1);
}

Result<uint64_t> Task::pause(bool pause) {
  Look look;
  std::set<pid_t> signalled = tree_.signal_all(pause ? SIGSTOP : SIGCONT, &look);
  uint64_t count = signalled.size();
  if (count == 0 && !look.complete) return fail_errno("cannot look at the task's processes", look.error);
  if (count == 0 && !child_lives())
    return fail(ErrorCode::kAlreadyExited, "the task has ended and left no descendants");
  if (count == 0) return fail(ErrorCode::kDenied, "none of the task's processes could be signalled");
  bool child_too = life_.child() && signalled.contains(*life_.child());
  if (child_too && (pause ? life_.stopped() : life_.continued())) publish();
  return count;
}

Result<Json> Task::apply_meta(const Json& patch) {
  Json merged = meta_;
  merge(merged, patch);
  if (size_t size = wire::encode_json(merged).size(); size > wire::kMaxMeta) {
    return fail(Failure{ErrorCode::kBadArgument,
                        "'meta' would be " + std::to_string(size) + " bytes; at most " +
                            std::to_string(wire::kMaxMeta) + " are kept: remove keys by setting them to null",
                        0, Json{{"parameter", "meta"}}});
  }
  meta_ = std::move(merged);
  publish();
  if (listener_.meta) listener_.meta();
  return meta_;
}

void Task::note(const Actor& actor, const std::string& action) {
  if (!actions_.note(actor, action, wall_clock())) return;
  files_.log(in_words(actor, action));
  publish();
}

void Task::reap() {
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

void Task::child_changed(const siginfo_t& change) {
  struct rusage usage {};
  siginfo_t taken{};
  if (change.si_code == CLD_STOPPED || change.si_code == CLD_TRAPPED || change.si_code == CLD_CONTINUED) {
    // The child may have gone on or ended since the peek: what is taken counts, and an end is not taken here.
    wait_child(P_PID, change.si_pid, taken, WSTOPPED | WCONTINUED | WNOHANG, nullptr);
    if (taken.si_pid == 0) return;
    bool changed = taken.si_code == CLD_CONTINUED ? life_.continued() : life_.stopped();
    if (changed) publish();
    return;
  }
  output_->drain();
  const Outcome outcome = outcome_of(change);
  wait_child(P_PID, change.si_pid, taken, WEXITED | WNOHANG, &usage);
  usage_ = usage;
  child_ended(outcome);
}

// From here on the pid may be somebody else's. The end itself is told once the output is in.
void Task::child_ended(Outcome outcome) {
  if (outcome.signal == SIGKILL && group_ && group_->oom_kills() > oom_kills_before_)
    outcome.reason = "out_of_memory";
  life_.reaped();
  adopted_ = false;
  tree_.forget_adopted_child();
  tree_.set_own_child(std::nullopt);
  child_handle_.reset();
  stdin_.abandon();
  lock_file_.reset();
  pending_end_ = std::move(outcome);
  settle_end(false);
}

void Task::settle_end(bool whatever_is_left) {
  if (!pending_end_) return;
  output_->drain();
  // With overflow "block" the last output may have to wait for a reader, and the end waits with it.
  if (!pending_end_ || (output_->blocked() && !whatever_is_left)) return;
  life_.ended(*std::exchange(pending_end_, std::nullopt), wall_clock());
  publish();
  if (listener_.exit) listener_.exit();
}

void Task::room_made(StreamId stream) {
  output_->room_made(stream);
  settle_end(false);
}

void Task::refresh_adopted_state() {
  // Nobody tells us when a child that is not ours stops or goes on.
  if (!adopted_ || !life_.child()) return;
  auto stat = process_stat(*life_.child());
  if (!stat || stat->start_ticks != child_start_) return;
  if (stat->state == 'T' ? life_.stopped() : life_.continued()) publish();
}

Json Task::rusage() const {
  if (!usage_ || life_.alive()) return nullptr;
  return rusage_json(seconds(usage_->ru_utime), seconds(usage_->ru_stime),
                     static_cast<uint64_t>(usage_->ru_maxrss) * 1024);
}

Json Task::supervision() const {
  return Json{{"boot_id", boot_id_},
              {"start", supervisor_start_},
              {"child_start", child_start_},
              {"cgroup", group_path()},
              {"pipes",
               {{"stdout", output_->pipe_inode(StreamId::kStdout)},
                {"stderr", output_->pipe_inode(StreamId::kStderr)}}}};
}

Json Task::stream_info(int stream) const {
  if (stream != 0) {
    auto id = static_cast<StreamId>(stream);
    return position_json(output_->rings().positions(id), output_->rings().capacity(id));
  }
  Json info = Json::object();
  info["pending"] = stdin_.pending();
  info["written"] = stdin_.written();
  info["eof"] = stdin_.eof();
  return info;
}

// Member by member: `info` asks for it, and a list of pairs takes four times as long.
Json Task::document() const {
  Json command = Json::array();
  for (const std::string& argument : spec_.exec)
    command.push_back(wire::bytes_value(argument));
  Json streams = Json::object();
  for (int stream = 0; stream <= 3; ++stream)
    streams[std::string(wire::stream_name(stream))] = stream_info(stream);
  Json document = Json::object();
  document["pid"] = id_;
  document["uid"] = ::geteuid();
  document["version"] = BGTASK_VERSION;
  document["protocol"] = wire::kProtocolVersion;
  document["persistent"] = !spec_.rings_in_memory;
  document["on_disk"] = files_.on_disk();
  document["command"] = std::move(command);
  document["cwd"] = wire::bytes_value(spec_.cwd);
  document["meta"] = meta_;
  document["child_pid"] = life_.child() ? Json(*life_.child()) : Json(nullptr);
  document["former_pids"] = former_ids_;
  document["containment"] = group_ ? "cgroup" : "sub-reaper";
  document["memory_limit"] = spec_.memory != 0 ? Json(spec_.memory) : Json(nullptr);
  document["cpu_limit"] = spec_.cpus != 0 ? Json(spec_.cpus) : Json(nullptr);
  document["oom_kills"] = group_ ? Json(group_->oom_kills()) : Json(nullptr);
  document["shared_with"] = spec_.share_with ? Json(spec_.share_with->name) : Json(nullptr);
  document["actions"] = actions_.document();
  document["runs"] = life_.runs();
  document["started_at"] = life_.started_at();
  document["ended_at"] = life_.ended_at();
  document["status"] = life_.status();
  document["rusage"] = rusage();
  document["streams"] = std::move(streams);
  return document;
}

Json Task::info(uint64_t clients) {
  refresh_adopted_state();
  Json info = document();
  Look look;
  const std::vector<ProcessTree::Member> members = tree_.find(look);
  const auto child = std::find_if(members.begin(), members.end(), [this](const ProcessTree::Member& member) {
    return member.pid == life_.child();
  });
  const bool seen = child != members.end();
  info["descendants"] = look.complete ? Json(members.size() - (seen ? 1 : 0)) : Json(nullptr);
  info["clients"] = clients;
  if (life_.child()) {
    if (auto stat = seen ? child->stat : process_stat(*life_.child())) {
      info["rusage"] = rusage_json(seconds_of_ticks(stat->user_ticks), seconds_of_ticks(stat->system_ticks),
                                   peak_memory(*life_.child()));
    }
  }
  return info;
}

void Task::publish() {
  if (life_.state() == State::kStarting) return;  // the status file says that the exec has succeeded
  Json published = document();
  published["supervision"] = supervision();  // only adopters need it, and they read the file
  Status written = files_.write_status(published);
  if (written) return publish_retry_.stop();
  if (!publish_retry_.running()) files_.log("cannot publish the status: " + written.error().message);
  publish_retry_.start(loop_, kPublishRetryMs, [this] { publish(); });
}

}  // namespace bgtask::supervisor
