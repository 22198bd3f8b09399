#include "pool/src/failed_start.h"

#include <fcntl.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <utility>

#include "client/src/dead_task.h"
#include "pool/src/gc.h"
#include "pool/src/task_processes.h"
#include "protocol/io/directory_names.h"
#include "protocol/io/pidfd.h"
#include "protocol/taskdir/names.h"

namespace bgtask {
namespace {

constexpr int kMaxRounds = 400;
constexpr int kQuietRounds = 2;  // a process between its fork and its exec cannot be told from others yet
constexpr timespec kPause{0, 5'000'000};

bool belongs_to(pid_t process, const std::string& token) {
  return initial_environment(process, "BGTASK_TOKEN") == token;
}

/// Whether there was one. The handle is opened before the second look: it is that process or none.
bool end_processes(const std::string& token) {
  bool any = false;
  for (const std::string& name :
       io::directory_names(AT_FDCWD, "/proc").value_or(std::vector<std::string>())) {
    const pid_t pid = std::atoi(name.c_str());
    if (pid <= 0 || !belongs_to(pid, token)) continue;
    const io::UniqueFd handle(::pidfd_open(pid, 0));
    if (!handle || !belongs_to(pid, token)) continue;
    any = true;
    ::pidfd_send_signal(handle.get(), SIGKILL, nullptr, 0);
  }
  return any;
}

/// An older task keeps its status: its supervisor started before.
bool is_of_failed_start(const TaskDirectory& task, uint64_t since) {
  const Result<Snapshot> snapshot = Snapshot::read(task);
  if (!snapshot) return snapshot.error().code == ErrorCode::kNotFound;
  const std::optional<taskdir::Supervision> supervision = snapshot->supervision();
  return supervision && supervision->start >= since;
}

}  // namespace

uint64_t start_ticks_now() {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  const auto ticks = static_cast<uint64_t>(::sysconf(_SC_CLK_TCK));
  return static_cast<uint64_t>(now.tv_sec) * ticks +
         static_cast<uint64_t>(now.tv_nsec) / (1'000'000'000 / ticks);
}

void clean_up_failed_start(const PoolDirectory& pool, const FailedStart& start) {
  int quiet = 0;
  for (int round = 0; round < kMaxRounds && quiet < kQuietRounds; ++round) {
    quiet = end_processes(start.spec.token) ? 0 : quiet + 1;
    ::nanosleep(&kPause, nullptr);
  }
  if (Result<TaskDirectory> task = open_task(pool, start.supervisor);
      task && is_of_failed_start(*task, start.since))
    static_cast<void>(remove_dead_task(pool, std::move(*task)));
  collect_remains_of(pool, taskdir::unpublished_name(start.spec.token));
}

}  // namespace bgtask
