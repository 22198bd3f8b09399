// Whether the supervisor and the child of a task are alive. The lock alone decides about the supervisor.
#pragma once

#include <optional>
#include <string>

#include "protocol/io/unique_fd.h"
#include "protocol/taskdir/status_document.h"
#include "protocol/taskdir/task_directory.h"
#include "protocol/wire/result.h"

namespace bgtask::taskdir {

/// Whether a supervisor holds the lock: a probe with a shared lock, let go at once. Where the caller may not
/// open the lock (a task shared with its group) the published start time and boot id decide. An error (no
/// lock file, not a regular file) does not mean "dead".
Result<bool> supervisor_alive(const TaskDirectory& task);

/// Opens the lock of a dead task and holds it as long as the descriptor is open. Waits up to 0.2 s, because
/// a probe holds the lock for a moment. `name` is the task's in messages. running: a supervisor holds it.
Result<io::UniqueFd> take_lock(int directory, const std::string& name);
/// The same without waiting; not_found where there is no lock file.
Result<io::UniqueFd> take_lock_at_once(int directory, const std::string& name);

/// Makes the lock file, held from its first moment: no reader ever finds it free. exists: there is one.
Result<io::UniqueFd> make_lock(int directory);

/// The answer to a question that may stay open: nothing, or a failure where the caller itself is short of
/// descriptors or memory.
Result<std::optional<bool>> unknown(const Failure& reason);

/// Whether the child of a published document is still that process: start time and boot id are compared.
/// Nothing where /proc cannot be read. Fails only for want of descriptors or memory.
Result<std::optional<bool>> child_alive(std::optional<pid_t> child,
                                        const std::optional<Supervision>& supervision);

}  // namespace bgtask::taskdir
