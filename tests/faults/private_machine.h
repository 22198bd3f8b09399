// Private namespaces of mounts, processes and sockets.
#pragma once

#include <functional>

namespace bgtask::faults {

/// Runs `body` in new mount, process and network namespaces: what it mounts is unmounted at its end, the
/// processes it leaves are killed, process ids can be chosen, and /proc shows its own processes and Unix
/// sockets only. Needs root. Returns what `body` returns.
int in_private_machine(const std::function<int()>& body);

}  // namespace bgtask::faults
