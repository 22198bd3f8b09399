#include "pool/src/failed_start.h"

#include <fcntl.h>
#include <signal.h>
#include <time.h>

#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>

#include "client/src/dead_task.h"
#include "pool/src/gc.h"
#include "protocol/io/directory_names.h"
#include "protocol/io/files.h"
#include "protocol/io/pidfd.h"

namespace bgtask {
namespace {

constexpr int kMaxRounds = 400;
constexpr int kQuietRounds = 2;  // a process between its fork and its exec cannot be told from others yet
constexpr timespec kPause{0, 5'000'000};
constexpr size_t kMaxEnvironment = 4 << 20;

bool has_variable(std::string_view environment, std::string_view variable) {
  const std::string entry = std::string(variable) + '\0';
  return environment.starts_with(entry) || environment.find('\0' + entry) != std::string_view::npos;
}

bool belongs_to(const std::string& process, const PoolDirectory& pool, pid_t supervisor) {
  const Result<std::string> environment =
      io::read_file(AT_FDCWD, ("/proc/" + process + "/environ").c_str(), kMaxEnvironment);
  return environment && has_variable(*environment, "BGTASK_PID=" + std::to_string(supervisor)) &&
         has_variable(*environment, "BGTASK_POOL=" + pool.path.string());
}

/// Whether there was one. The handle is opened before the second look: it is that process or none.
bool end_processes(const PoolDirectory& pool, pid_t supervisor) {
  bool any = false;
  for (const std::string& name :
       io::directory_names(AT_FDCWD, "/proc").value_or(std::vector<std::string>())) {
    if (std::atoi(name.c_str()) <= 0 || !belongs_to(name, pool, supervisor)) continue;
    const io::UniqueFd handle(::pidfd_open(std::atoi(name.c_str()), 0));
    if (!handle || !belongs_to(name, pool, supervisor)) continue;
    any = true;
    ::pidfd_send_signal(handle.get(), SIGKILL, nullptr, 0);
  }
  return any;
}

}  // namespace

void clean_up_failed_start(const PoolDirectory& pool, pid_t supervisor) {
  int quiet = 0;
  for (int round = 0; round < kMaxRounds && quiet < kQuietRounds; ++round) {
    quiet = end_processes(pool, supervisor) ? 0 : quiet + 1;
    ::nanosleep(&kPause, nullptr);
  }
  if (Result<TaskDirectory> task = open_task(pool, supervisor))
    static_cast<void>(remove_dead_task(pool, std::move(*task)));
  collect_remains(pool);
}

}  // namespace bgtask
