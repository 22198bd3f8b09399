// The supervisor as a process that a person or a service manager started: `bgtask run --behavior foreground`
// has become it by exec, so it says on its own stdout and stderr what a launcher would be answered.
#pragma once

#include "protocol/wire/json.h"
#include "protocol/wire/launch.h"
#include "protocol/wire/result.h"

namespace bgtask::supervisor {

/// Says the task's pid: on stdout, or on stderr where stdout is for the task's output or cannot be written
/// to.
void say_started(const wire::InPlaceSpec& in_place);
/// Says why the task could not be started; returns the status to exit with: 126 or 127 for a command that
/// cannot be executed or found, else 125.
int say_not_started(const Failure& failure);

/// A task's end ("status" of the info document) as an exit status: its code, 128 + n for signal n, 124 where
/// its time was up, 125 where nobody knows.
int exit_status_of(const Json& status);

}  // namespace bgtask::supervisor
