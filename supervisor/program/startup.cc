#include "supervisor/program/startup.h"

#include <malloc.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <ctime>
#include <memory>
#include <new>
#include <optional>
#include <utility>

#include "protocol/io/files.h"
#include "protocol/io/own_limits.h"
#include "protocol/io/random_token.h"
#include "protocol/io/uv_handles.h"
#include "protocol/taskdir/keys.h"
#include "protocol/taskdir/names.h"
#include "protocol/wire/codec.h"
#include "protocol/wire/limits.h"
#include "supervisor/program/memory_reserve.h"
#include "supervisor/program/supervisor.h"

namespace bgtask::supervisor {
namespace {

// SIGIO tells that something was removed from the task's directory.
constexpr int kHandledSignals[] = {SIGCHLD, SIGHUP, SIGINT, SIGTERM, SIGIO};

Result<io::UniqueFd> make_signal_fd() {
  sigset_t signals;
  sigemptyset(&signals);
  for (int signal : kHandledSignals)
    sigaddset(&signals, signal);
  io::UniqueFd fd(::signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC));
  if (!fd) return fail_errno("cannot make a signalfd", errno);
  return fd;
}

Status listen(TaskFiles& files, Supervisor::Listening& listening) {
  for (Endpoint endpoint : kEndpoints) {
    auto fd = files.listen(endpoint);
    if (!fd) return fail(std::move(fd).error());
    listening[static_cast<size_t>(endpoint)] = std::move(*fd);
  }
  return {};
}

// Gives the stack back that lies below the caller's frame: starting goes deeper than serving.
[[gnu::noinline]] void give_back_stack() {
  constexpr uintptr_t kPage = 4096;
  constexpr uintptr_t kThisCall = 512;
  constexpr uintptr_t kReach =
      128 * 1024;  // what a program is given to begin with, and nothing else lies there
  const auto here = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
  const uintptr_t end = (here - kThisCall) / kPage * kPage;
  ::madvise(reinterpret_cast<void*>(end - kReach), kReach, MADV_DONTNEED);
}

// The guard knows the group before there is a process in it.
Status tell(io::UniqueFd guard, const Task& task) {
  return guard ? io::write_all(guard.get(), task.group_path()) : Status();
}

// The rings are as large as they will ever be from the beginning.
Failure with_limit(Failure failure) {
  const std::string limit = io::file_size_limit();
  if (failure.code == ErrorCode::kFileLimit && !limit.empty()) failure.message += "; " + limit;
  return failure;
}

// The order in which a new task comes into being. `files` is its hidden directory, whose lock is held. On
// failure the caller withdraws all of it.
Status bring_into_being(Task& task, Startup& startup, Supervisor::Listening& listening) {
  Status done = task.prepare();
  if (done) done = task.make_control_group();
  if (done) done = task.make_rings();
  if (done) done = task.files().write_launch(std::exchange(startup.encoded_spec, {}));
  if (done) done = listen(task.files(), listening);
  if (done) done = task.files().publish(task.id());  // from here on Task::self() in the command can connect
  if (done) done = tell(std::move(startup.guard), task);
  if (done && !memory_suffices()) done = fail(out_of_memory());
  if (!done) return done;
  wait_for_memory_from_now_on();
  done = task.start_command();              // its exec has succeeded
  if (done) done = task.publish_started();  // from here on searches show the task
  return done;
}

struct Former {
  wire::LaunchSpec spec;
  Json document;  // as it is in the file
  taskdir::StatusDocument published;
  std::vector<pid_t> ids;
};

Result<Former> read_former(const TaskFiles& files, pid_t former_id) {
  auto published = files.read_status();
  if (!published) {
    return fail(ErrorCode::kNotFound,
                "task " + std::to_string(former_id) + " never started: there is nothing to adopt");
  }
  auto spec = files.read_launch_spec();
  if (!spec) return fail(std::move(spec).error());
  spec->in_place.reset();  // was said of the dead supervisor's process
  taskdir::StatusDocument decoded = taskdir::decode(*published);
  if (decoded.status.state == taskdir::State::kUnknown)
    return fail(ErrorCode::kParseError, "the task's published status is damaged: it names no state");
  Former former{std::move(*spec), std::move(*published), std::move(decoded), {}};
  former.ids = former.published.former_pids;
  former.ids.push_back(former_id);
  // A task that was moved aside has another directory name than the id its processes know.
  const pid_t published_id = former.published.pid;
  if (published_id != 0 && published_id != former_id) former.ids.push_back(published_id);
  return former;
}

Status start_adopted(Task& task, const Former& former, Supervisor::Listening& listening) {
  if (Status listens = listen(task.files(), listening); !listens) return listens;
  // Before the directory has its new name: killed in between, the task is found by all its ids.
  Json renamed = former.document;
  taskdir::rename_task(renamed, task.id(), former.ids);
  if (Status written = task.files().write_status(renamed); !written) return written;
  if (Status published = task.files().publish(task.id()); !published) return published;
  if (Status taken = task.take_over(former.published, former.ids); !taken) return taken;
  if (!memory_suffices()) return fail(out_of_memory());
  return {};
}

}  // namespace

struct Service {
  io::Loop loop;
  std::unique_ptr<Task> task;
  std::unique_ptr<Supervisor> supervisor;
};

void ServiceEnd::operator()(Service* service) const {
  delete service;
}

namespace {

// Leaves nothing of a task that could not be started; the command may have begun. The group counts its
// processes for a moment longer, which may be waited for: no client is served.
void withdraw(Task& task) {
  constexpr timespec kPause{0, 1'000'000};
  constexpr int kTries = 50;
  task.tree().signal_all(SIGKILL);
  static_cast<void>(task.remove());
  for (int tries = kTries; !task.remove_group() && tries > 0; --tries)
    ::nanosleep(&kPause, nullptr);
}

// Whether that could be done; if not, it has been told.
bool open_to_clients(Service& service, Supervisor::Listening listening, Startup& startup) {
  auto signals = make_signal_fd();
  Task* task = service.task.get();
  service.supervisor = std::make_unique<Supervisor>(service.loop, *task);
  Status started = signals ? service.supervisor->start(std::move(listening), std::move(*signals),
                                                       std::move(startup.leader))
                           : Status(fail(std::move(signals).error()));
  if (!started) {
    if (!startup.spec.adopt) {  // a task that was taken over stays what it was: lost
      withdraw(*task);
    }
    startup.report(fail(std::move(started).error()));
    return false;
  }
  // Keeps no file system busy; the child has its own directory.
  if (::chdir("/") != 0) task->files().log("cannot change to /");
  startup.report(Json{{"pid", task->id()},
                      {taskdir::key::kChildPid, task->child() ? Json(*task->child()) : Json(nullptr)}});
  return true;
}

std::optional<gid_t> group_of(const wire::LaunchSpec& spec) {
  return spec.share_with ? std::optional<gid_t>(spec.share_with->gid) : std::nullopt;
}

bool begin_new(Service& service, Startup& startup) {
  auto files = TaskFiles::create(std::move(startup.pool), taskdir::unpublished_name(startup.spec.token),
                                 group_of(startup.spec));
  if (!files) {
    startup.report(fail(std::move(files).error()));
    return false;
  }
  service.task =
      std::make_unique<Task>(service.loop, std::move(*files), std::move(startup.spec), startup.original);
  Task* task = service.task.get();
  Supervisor::Listening listening;
  Status done = [&]() -> Status {
    try {
      return bring_into_being(*task, startup, listening);
    } catch (const std::bad_alloc&) {
      return fail(out_of_memory());
    }
  }();
  if (!done) {
    withdraw(*task);
    startup.report(fail(with_limit(std::move(done).error())));
    return false;
  }
  return open_to_clients(service, std::move(listening), startup);
}

bool begin_adopted(Service& service, Startup& startup) {
  auto refuse = [&](Failure failure) {
    startup.report(fail(std::move(failure)));
    return false;
  };
  if (!memory_suffices()) return refuse(out_of_memory());
  wait_for_memory_from_now_on();
  pid_t former_id = *startup.spec.adopt;
  auto files = TaskFiles::take_over(std::move(startup.pool), former_id);
  if (!files) return refuse(std::move(files).error());
  auto former = read_former(*files, former_id);
  if (!former) return refuse(std::move(former).error());
  std::string pool_path = startup.spec.pool_path;
  former->spec.pool_path = pool_path;
  files->set_group(group_of(former->spec));
  service.task = std::make_unique<Task>(service.loop, std::move(*files), former->spec, startup.original);
  Supervisor::Listening listening;
  Status done = start_adopted(*service.task, *former, listening);
  if (!done) return refuse(std::move(done).error());
  return open_to_clients(service, std::move(listening), startup);
}

}  // namespace

namespace {

// The command gets the caller's soft limits back. The supervisor serves it for as long as the hard limits
// allow, and dumps no core, which would hold what the task printed.
void set_own_limits(OriginalProcess& original) {
  for (size_t i = 0; i < std::size(kOwnLimits); ++i) {
    const auto resource = static_cast<__rlimit_resource>(kOwnLimits[i]);
    rlimit limit{};
    ::getrlimit(resource, &limit);
    original.soft_limits[i] = limit.rlim_cur;
    const rlim_t wanted = resource == RLIMIT_CORE ? 0 : limit.rlim_max;
    if (limit.rlim_cur == wanted) continue;
    limit.rlim_cur = wanted;
    ::setrlimit(resource, &limit);
  }
}

}  // namespace

OriginalProcess become_supervisor_process() {
  OriginalProcess original;
  set_own_limits(original);
  install_memory_reserve();
  original.umask = ::umask(077);  // files of the task are nobody else's, from their first moment
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGXFSZ, SIG_IGN);
  sigset_t blocked;
  sigemptyset(&blocked);
  for (int signal : kHandledSignals)
    sigaddset(&blocked, signal);
  ::sigprocmask(SIG_SETMASK, &blocked, nullptr);
  ::signal(SIGCHLD, SIG_DFL);  // ignored, as some parents have it, children would vanish unreaped
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  return original;
}

Status have_token(Startup& startup) {
  if (!startup.spec.token.empty() || startup.spec.adopt) return {};
  auto token = io::random_token();
  if (!token) return fail(std::move(token).error());
  startup.spec.token = std::move(*token);
  startup.encoded_spec = wire::encode_msgpack(wire::to_json(startup.spec));
  return {};
}

ServicePtr begin(Startup startup) {
  ServicePtr service(new Service);
  if (Status ready = service->loop.init(); !ready) {
    startup.report(fail(std::move(ready).error()));
    return nullptr;
  }
  const bool begun = startup.spec.adopt ? begin_adopted(*service, startup) : begin_new(*service, startup);
  return begun ? std::move(service) : nullptr;
}

int serve(ServicePtr service) {
  // What starting took is given back: idle supervisors are many.
  ::malloc_trim(0);
  give_back_stack();
  // Large replies and writes come one after the other: their memory is not given back between them, but when
  // their connection ends (Server::sweep).
  ::mallopt(M_TRIM_THRESHOLD, 4 << 20);
  ::mallopt(M_MMAP_THRESHOLD, 4 << 20);
  service->loop.run();
  return service->supervisor->exit_status();
}

}  // namespace bgtask::supervisor
