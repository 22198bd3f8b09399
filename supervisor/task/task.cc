#include "supervisor/task/task.h"

#include <unistd.h>

#include <csignal>
#include <utility>

#include "protocol/taskdir/names.h"
#include "supervisor/task/metadata.h"
#include "supervisor/task/take_over.h"
#include "supervisor/task/wall_clock.h"

namespace bgtask::supervisor {
namespace {

constexpr double kRetrySeconds = 1;

}  // namespace

Task::Task(io::Loop& loop, TaskFiles files, wire::LaunchSpec spec, const OriginalProcess& original)
    : original_(original), parts_(loop, std::move(files), std::move(spec), parts_listener()) {}

TaskParts::Listener Task::parts_listener() {
  return {.run = {.changed = [this] { publish(); },
                  .ended =
                      [this] {
                        parts_.limit.disarm();
                        if (listener_.exit) listener_.exit();
                      },
                  .restarted =
                      [this](const Status& outcome) {
                        if (outcome) parts_.begin_limit();
                        if (listener_.restarted) listener_.restarted(outcome);
                      }},
          .output = {.output =
                         [this] {
                           if (listener_.output) listener_.output();
                         },
                     .stream_end =
                         [this](StreamId stream) {
                           publish();
                           if (listener_.stream_end) listener_.stream_end(stream);
                         }},
          .time_is_up = [this] { time_is_up(); }};
}

Status Task::make_control_group() {
  auto group = ControlGroup::create(parts_.spec, id());
  if (!group) return fail(std::move(group).error());
  parts_.processes.use(std::move(*group));
  return {};
}

Status Task::make_rings() {
  auto rings = Rings::create(parts_.files.directory(), parts_.spec);
  if (!rings) return fail(std::move(rings).error());
  parts_.use(std::move(*rings));
  if (parts_.spec.rings_in_memory) return {};
  for (const char* ring : taskdir::kRings) {
    if (Status shared = parts_.files.share(ring); !shared) return shared;
  }
  return {};
}

Status Task::start_command() {
  if (Status started = parts_.run.start(parts_.spec, id(), original_); !started) return started;
  std::vector<std::string>().swap(
      parts_.spec.env);  // neither is needed again: a restart reads the launch file
  parts_.spec.meta = nullptr;
  parts_.begin_limit();
  return {};
}

Status Task::publish_started() {
  Status written = parts_.publisher.write();
  if (!written) parts_.processes.tree.signal_all(SIGKILL);  // a task that nobody can find was not started
  return written;
}

Status Task::take_over(const taskdir::StatusDocument& published, std::vector<pid_t> former_ids) {
  Status taken = supervisor::take_over(parts_, published, std::move(former_ids));
  if (taken) publish();
  return taken;
}

Status Task::restart(bool force) {
  if (stopping()) return fail(ErrorCode::kBusy, "the task is being stopped; try again when that is done");
  if (!force) {
    if (Status none = parts_.processes.none_alive(); !none) return none;
  }
  auto full = parts_.files.read_launch_spec();
  if (!full) return fail(std::move(full).error());
  full->pool_path = parts_.spec.pool_path;  // of today: an adopted task's pool may have been moved
  return parts_.run.start_again(std::move(*full), id(), original_);
}

void Task::stop(const StopPlan& plan, const char* reason, Stopper::Done done) {
  parts_.run.give_up_start(Failure{ErrorCode::kBusy, "the task is being stopped", 0, nullptr});
  parts_.stopper.stop(plan, reason, std::move(done));
}

void Task::time_is_up() {
  if (!child()) return;
  note({::geteuid(), id()}, "stop at the timeout of the run");
  stop(stop_plan(parts_.spec, kStopGrace), kReasonTimeout, [this](const StopResult& result) {
    if (result.kind == StopResult::Kind::kStopped) return;
    parts_.files.log("timeout: not all processes could be ended");
    if (result.error != 0) parts_.limit.arm(boot_clock() + kRetrySeconds);
  });
}

void Task::reap() {
  parts_.run.reap();
  parts_.stopper.progress();
}

Result<uint64_t> Task::pause(bool pause) {
  auto paused = parts_.signalling.pause(pause);
  if (!paused) return fail(std::move(paused).error());
  if (paused->child_too && (pause ? parts_.life.stopped() : parts_.life.continued())) publish();
  return paused->count;
}

Result<Json> Task::apply_meta(const Json& patch) {
  auto merged = merged_metadata(parts_.meta, patch);
  if (!merged) return merged;
  parts_.meta = std::move(*merged);
  publish();
  if (listener_.meta) listener_.meta();
  return parts_.meta;
}

void Task::note(const Actor& actor, const std::string& action) {
  if (!parts_.actions.note(actor, action, wall_clock())) return;
  parts_.files.log(in_words(actor, action));
  publish();
}

void Task::room_made(StreamId stream) {
  parts_.output->room_made(stream);
  settle_end(false);
}

Json Task::info(uint64_t clients) {
  parts_.run.refresh_adopted_state();
  return parts_.document.live(clients);
}

void Task::publish() {
  if (parts_.life.state() == State::kStarting) return;  // the status file says that the exec has succeeded
  parts_.publisher.publish();
}

}  // namespace bgtask::supervisor
