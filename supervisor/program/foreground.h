// The supervisor as a person or a service manager starts it: in the foreground, from a command line.
#pragma once

namespace bgtask::supervisor {

/// Returns the process's exit status: 0 after the task was deleted, 125 for wrong usage and failures of its
/// own, 126 or 127 for a command that cannot be executed or found.
int run_foreground(int argc, char** argv);

}  // namespace bgtask::supervisor
