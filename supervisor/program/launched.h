// The supervisor as the client library starts it, or becomes it: protocol/wire/launch.h says with which
// descriptors.
#pragma once

namespace bgtask::supervisor {

/// Returns the process's exit status.
int run_launched();

}  // namespace bgtask::supervisor
