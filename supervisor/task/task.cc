#include "supervisor/task/task.h"

#include <unistd.h>

#include <csignal>
#include <utility>

#include "protocol/taskdir/names.h"
#include "protocol/wire/codec.h"
#include "protocol/wire/limits.h"
#include "supervisor/processes/adoption.h"
#include "supervisor/processes/lock_file.h"
#include "supervisor/processes/process.h"
#include "supervisor/task/metadata.h"
#include "supervisor/task/wall_clock.h"

namespace bgtask::supervisor {
namespace {

constexpr double kRetrySeconds = 1;

}  // namespace

Task::Task(io::Loop& loop, TaskFiles files, wire::LaunchSpec spec, const OriginalProcess& original)
    : loop_(loop),
      files_(std::move(files)),
      spec_(std::move(spec)),
      original_(original),
      meta_(spec_.meta),
      stdin_(loop),
      processes_(spec_.token),
      run_(loop, life_, processes_, output_, stdin_,
           {[this] { publish(); },
            [this] {
              limit_.disarm();
              if (listener_.exit) listener_.exit();
            },
            [this](const Status& outcome) {
              if (outcome) begin_limit();
              if (listener_.restarted) listener_.restarted(outcome);
            }}),
      signalling_(life_, run_, processes_),
      stopper_(loop, processes_, life_),
      limit_(loop, [this] { time_is_up(); }),
      document_({identity_, spec_, files_, processes_, life_, run_, meta_, actions_, output_, stdin_}),
      publisher_(loop, files_, document_) {
  identity_.id = ::getpid();
  auto self = process_stat(identity_.id);
  identity_.start_ticks = self ? self->start_ticks : 0;
}

// Read once: without it nobody could tell our child from one that has its pid after a reboot.
Status Task::read_boot_id() {
  auto boot = io::boot_id();
  if (!boot) return fail(std::move(boot).error());
  identity_.boot_id = std::move(*boot);
  return {};
}

Status Task::prepare_limit() {
  return spec_.timeout ? limit_.prepare() : Status();
}

// Counted from the start of the process, which an adopter finds in the published document.
void Task::begin_limit() {
  if (spec_.timeout) limit_.arm(seconds_since_boot(run_.start_ticks()) + *spec_.timeout);
}

void Task::stop(const StopPlan& plan, const char* reason, Stopper::Done done) {
  run_.give_up_start(Failure{ErrorCode::kBusy, "the task is being stopped", 0, nullptr});
  stopper_.stop(plan, reason, std::move(done));
}

void Task::time_is_up() {
  if (!life_.child()) return;
  note({::geteuid(), identity_.id}, "stop at the timeout of the run");
  stop(stop_plan(spec_, kStopGrace), kReasonTimeout, [this](const StopResult& result) {
    if (result.kind == StopResult::Kind::kStopped) return;
    files_.log("timeout: not all processes could be ended");
    if (result.error != 0) limit_.arm(boot_clock() + kRetrySeconds);
  });
}

Status Task::prepare() {
  if (Status known = read_boot_id(); !known) return known;
  if (Status ready = prepare_limit(); !ready) return ready;
  auto group = ControlGroup::create(spec_, identity_.id);
  if (!group) return fail(std::move(group).error());
  processes_.use(std::move(*group));
  auto rings = Rings::create(files_.directory(), spec_);
  if (!rings) return fail(std::move(rings).error());
  use(std::move(*rings));
  if (spec_.rings_in_memory) return {};
  for (const char* ring : taskdir::kRings) {
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

Status Task::start() {
  if (Status started = run_.start(spec_, identity_.id, original_); !started) return started;
  std::vector<std::string>().swap(spec_.env);  // neither is needed again: a restart reads the launch file
  spec_.meta = nullptr;
  begin_limit();
  Status written = publisher_.write();
  if (!written) processes_.tree.signal_all(SIGKILL);  // what nobody can find was not started
  return written;
}

Status Task::take_over(const Json& published, std::vector<pid_t> former_ids) {
  if (Status known = read_boot_id(); !known) return known;
  if (Status ready = prepare_limit(); !ready) return ready;
  identity_.former_ids = std::move(former_ids);
  processes_.tree.look_everywhere();
  const bool this_boot = same_boot(published, identity_.boot_id);
  if (this_boot) processes_.use(ControlGroup::take_over(published["supervision"].value("cgroup", "")));
  processes_.forget_oom_kills();
  auto rings = Rings::take_over(files_.directory(), spec_, published);
  if (!rings) return fail(std::move(rings).error());
  use(std::move(*rings));
  std::vector<std::string>().swap(spec_.env);
  if (published.contains("meta") && published["meta"].is_object()) meta_ = published["meta"];
  actions_.resume(published.value("actions", Json::array()));
  auto child = find_published_child(published, identity_.boot_id);
  if (!child) return fail(std::move(child).error());
  bool was_running = published.at("status").value("running", false);
  // A child that ended while nobody looked has no pid any more, but its end is still to be told.
  std::optional<pid_t> known = was_running ? std::optional<pid_t>(*child ? (*child)->pid : 0) : std::nullopt;
  life_ = Lifecycle::resumed(published, known);
  if (*child) {
    if (Status watched = run_.adopt(std::move(**child), lock_again()); !watched) return watched;
    begin_limit();
  } else if (was_running) {
    life_.ended(Outcome{{}, 0, false, "unknown"}, wall_clock());  // whoever reaped it knows how
  }
  if (this_boot) reattach_streams(published);
  for (StreamId stream : kOutputStreams)
    output_->end_if_unattached(stream);
  publish();
  return {};
}

// The lock went with the supervisor; somebody else may have it by now, and the child runs all the same.
io::UniqueFd Task::lock_again() {
  if (spec_.lock_file.empty()) return {};
  auto lock = acquire_lock_file(spec_.lock_file);
  if (lock) return std::move(*lock);
  files_.log("adopted without its lock: " + lock.error().message);
  return {};
}

void Task::reattach_streams(const Json& published) {
  AdoptedStreams streams = recover_streams(life_.child(), processes_.tree.members(), published);
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

Result<wire::LaunchSpec> Task::read_launch_spec() const {
  auto encoded = files_.read_launch();
  if (!encoded) return fail(std::move(encoded).error());
  auto document = wire::decode_msgpack(*encoded, {wire::kMaxDepth, encoded->size()});
  if (!document) return fail(std::move(document).error());
  auto full = wire::launch_spec(*document);
  if (full) full->pool_path = spec_.pool_path;  // of today: an adopted task's pool may have been moved
  return full;
}

Status Task::none_left_of_last_run() const {
  Look look;
  const size_t alive = processes_.tree.members(&look).size();
  if (alive > 0) {
    const std::string descendants = alive == 1 ? "1 descendant of its last run is"
                                               : std::to_string(alive) + " descendants of its last run are";
    return fail(ErrorCode::kRunning, "the command has ended, but " + descendants +
                                         " alive: stop the task first, or use 'force' to "
                                         "start the command beside them");
  }
  if (!look.complete) return fail_errno("cannot look at the task's processes", look.error);
  return {};
}

Status Task::restart(bool force) {
  if (stopping()) return fail(ErrorCode::kBusy, "the task is being stopped; try again when that is done");
  if (!force) {
    if (Status free = none_left_of_last_run(); !free) return free;
  }
  auto full = read_launch_spec();
  if (!full) return fail(std::move(full).error());
  return run_.start_again(std::move(*full), identity_.id, original_);
}

void Task::reap() {
  run_.reap();
  stopper_.progress();
}

Result<uint64_t> Task::pause(bool pause) {
  auto paused = signalling_.pause(pause);
  if (!paused) return fail(std::move(paused).error());
  if (paused->child_too && (pause ? life_.stopped() : life_.continued())) publish();
  return paused->count;
}

Result<Json> Task::apply_meta(const Json& patch) {
  auto merged = merged_metadata(meta_, patch);
  if (!merged) return merged;
  meta_ = std::move(*merged);
  publish();
  if (listener_.meta) listener_.meta();
  return meta_;
}

void Task::note(const Actor& actor, const std::string& action) {
  if (!actions_.note(actor, action, wall_clock())) return;
  files_.log(in_words(actor, action));
  publish();
}

void Task::room_made(StreamId stream) {
  output_->room_made(stream);
  settle_end(false);
}

Json Task::info(uint64_t clients) {
  run_.refresh_adopted_state();
  return document_.live(clients);
}

void Task::publish() {
  if (life_.state() == State::kStarting) return;  // the status file says that the exec has succeeded
  publisher_.publish();
}

}  // namespace bgtask::supervisor
