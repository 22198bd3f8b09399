// What the supervisor does when memory runs out: it spends a reserve, then refuses requests, then waits. It
// never dies of it once a command runs, for the task would be lost with it.
#pragma once

#include "protocol/wire/result.h"

namespace bgtask::supervisor {

/// Makes every allocation of this process, libuv's too, draw on a reserve of address space (untouched, so it
/// costs no memory) when it fails. To be called before a loop is made.
void install_memory_reserve();

/// From now on an allocation that fails without a reserve is tried again until there is memory; before, it
/// throws std::bad_alloc.
void wait_for_memory_from_now_on();

/// Whether there is room for the reserve, and beside it for what the supervisor will need of address space.
/// Asked once everything is mapped.
bool memory_suffices();

/// no_memory, naming the limit that is to blame and the remedy where there is one.
Failure out_of_memory();

/// Whether there is a reserve; one that was spent is made again if that is possible now.
bool memory_reserve_ready();

}  // namespace bgtask::supervisor
