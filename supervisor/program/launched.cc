#include "supervisor/program/launched.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>
#include <functional>
#include <memory>
#include <new>

#include "protocol/io/files.h"
#include "protocol/wire/codec.h"
#include "protocol/wire/launch.h"
#include "protocol/wire/limits.h"
#include "protocol/wire/message.h"
#include "supervisor/processes/control_group.h"
#include "supervisor/processes/guard.h"
#include "supervisor/program/in_place.h"
#include "supervisor/program/memory_reserve.h"
#include "supervisor/program/startup.h"

namespace bgtask::supervisor {
namespace {

constexpr size_t kMaxSpec = 64 << 20;

io::UniqueFd inherited(int number) {
  if (::fcntl(number, F_SETFD, FD_CLOEXEC) != 0) return {};
  return io::UniqueFd(number);
}

Result<Startup> read_startup() {
  io::UniqueFd spec_fd = inherited(wire::kSpecFd);
  Startup startup;
  startup.pool = inherited(wire::kPoolFd);
  if (!spec_fd || !startup.pool) return fail(ErrorCode::kBadArgument, "--launch is for the client library");
  struct stat st {};
  static_cast<void>(::fstat(spec_fd.get(), &st));
  auto encoded = io::read_all(spec_fd.get(), kMaxSpec, static_cast<size_t>(st.st_size));
  if (!encoded) return fail(std::move(encoded).error());
  auto document = wire::decode_msgpack(*encoded, {wire::kMaxDepth, encoded->size()});
  if (!document) return fail(std::move(document).error());
  auto spec = wire::launch_spec(*document);
  if (!spec) return fail(std::move(spec).error());
  startup.encoded_spec = std::move(*encoded);
  startup.spec = std::move(*spec);
  if (startup.spec.behavior == "background") startup.leader = inherited(wire::kLeaderFd);
  if (Status named = have_token(startup); !named) return fail(std::move(named).error());
  return startup;
}

void send_report(int fd, const Result<Json>& result) {
  Json reply = result ? *result : Json{{"error", wire::make_error(nullptr, result.error())["error"]}};
  std::string message = wire::encode_msgpack(reply);
  // The launcher may have given up meanwhile; the task is then found in the pool like any other.
  while (::send(fd, message.data(), message.size(), MSG_NOSIGNAL) < 0 && errno == EINTR) {
  }
}

ServicePtr begin_reporting(const std::function<void(const Result<Json>&)>& report) {
  OriginalProcess original = become_supervisor_process();
  auto startup = read_startup();
  if (!startup) {
    report(fail(std::move(startup).error()));
    return nullptr;
  }
  const wire::LaunchSpec& spec = startup->spec;
  if (spec.kill_on_supervisor_death && spec.behavior != "foreground") {
    ControlGroup::leave_callers_group();  // the guard has to outlive what its supervisor outlives
    auto guard = fork_below_guard(spec.token);
    if (!guard) {
      report(fail(std::move(guard).error()));
      return nullptr;
    }
    startup->guard = std::move(*guard);
    become_supervisor_process();
  }
  startup->original = original;
  startup->report = report;
  return begin(std::move(*startup));
}

using Report = std::function<void(const Result<Json>&)>;

Report to_launcher(io::UniqueFd reply_fd) {
  auto reply = std::make_shared<io::UniqueFd>(std::move(reply_fd));
  return [reply](const Result<Json>& result) {
    send_report(reply->get(), result);
    reply->reset();
  };
}

// Not inlined: what starting needs of the stack is left again before the task is served.
[[gnu::noinline]] ServicePtr begin_launched(int& failed) {
  io::UniqueFd reply = inherited(wire::kReplyFd);
  const Report report = reply ? to_launcher(std::move(reply)) : [&failed](const Result<Json>& result) {
    if (!result) failed = say_not_started(result.error());
  };
  try {
    return begin_reporting(report);
  } catch (const std::bad_alloc&) {
    report(fail(out_of_memory()));
    return nullptr;
  }
}

}  // namespace

int run_launched() {
  int failed = 1;
  ServicePtr service = begin_launched(failed);
  return service ? serve(std::move(service)) : failed;
}

}  // namespace bgtask::supervisor
