#include "supervisor/program/in_place.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>

#include "protocol/io/files.h"
#include "protocol/taskdir/status_document.h"

namespace bgtask::supervisor {
namespace {

constexpr int kTimeIsUp = 124;
constexpr int kOwnFailure = 125;
constexpr int kNotExecutable = 126;
constexpr int kNotFound = 127;
constexpr int kSignalBase = 128;

}  // namespace

void say_started(const wire::InPlaceSpec& in_place) {
  const std::string pid = std::to_string(::getpid());
  if (in_place.forward_output) {
    std::fprintf(stderr, "bgtask: task %s\n", pid.c_str());
    return;
  }
  // The task runs and can be used: what could not be said on stdout is said here.
  if (Status said = io::write_all(STDOUT_FILENO, pid + "\n"); !said)
    std::fprintf(stderr, "bgtask: task %s runs, but its pid could not be written to stdout: %s\n",
                 pid.c_str(), std::strerror(said.error().os_error));
}

int say_not_started(const Failure& failure) {
  std::fprintf(stderr, "bgtask: %s\n", failure.message.c_str());
  // A bad working directory is exec_failed too, but not what a caller who looks for 127 means.
  const bool about_directory = failure.message.find("('cwd')") != std::string::npos;
  if (failure.code != ErrorCode::kExecFailed || about_directory) return kOwnFailure;
  return failure.os_error == ENOENT ? kNotFound : kNotExecutable;
}

int exit_status_of(const Json& status) {
  const taskdir::RunStatus run = taskdir::decode_run_status(status);
  if (run.reason == "timeout") return kTimeIsUp;
  if (run.exit_code) return *run.exit_code & 0xff;
  return run.signal != 0 ? kSignalBase + run.signal : kOwnFailure;
}

}  // namespace bgtask::supervisor
