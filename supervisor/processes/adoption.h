// What can be had again of a task whose supervisor died.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocol/io/unique_fd.h"
#include "protocol/taskdir/status_document.h"
#include "protocol/wire/result.h"

namespace bgtask::supervisor {

struct PublishedChild {
  pid_t pid;
  io::UniqueFd handle;
  uint64_t start_ticks;
};
/// The child a dead supervisor published, if that very process still lives: same boot, same start time,
/// looked at through a handle, so that a pid used again is never taken for it.
Result<std::optional<PublishedChild>> find_published_child(const taskdir::StatusDocument& published,
                                                           const std::string& boot_id);

struct AdoptedStreams {
  io::UniqueFd stdout_pipe;
  io::UniqueFd stderr_pipe;
  io::UniqueFd data_socket;
};
/// Opens the read ends again through whichever process of the task still holds the other ends. A stream that
/// nobody holds any more is left empty.
AdoptedStreams recover_streams(std::optional<pid_t> child, const std::vector<pid_t>& members,
                               const taskdir::StatusDocument& published);

/// Whether the machine has not been started again since: pids and inodes of pipes mean what they meant.
bool same_boot(const taskdir::StatusDocument& published, const std::string& boot_id);

struct ExitStatus {
  enum class Kind {
    kKnown,
    kNotYet,  ///< nobody has reaped the process yet; ask again
    kNoWayToTell,
  } kind;
  int wait_status = 0;
};
/// How an ended process that was not our child ended, as waitpid tells it; only where the kernel knows
/// (Linux 6.15, PIDFD_GET_INFO).
ExitStatus exit_status_of(const io::UniqueFd& pidfd);

}  // namespace bgtask::supervisor
