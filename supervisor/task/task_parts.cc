#include "supervisor/task/task_parts.h"

#include <unistd.h>

#include <utility>

#include "supervisor/processes/process.h"

namespace bgtask::supervisor {

TaskParts::TaskParts(io::Loop& the_loop, TaskFiles the_files, wire::LaunchSpec the_spec,
                     Listener the_listener)
    : loop(the_loop),
      files(std::move(the_files)),
      spec(std::move(the_spec)),
      listener(std::move(the_listener)),
      meta(spec.meta),
      stdin_queue(loop),
      processes(spec.token),
      run(loop, life, processes, output, stdin_queue, listener.run),
      signalling(life, run, processes),
      stopper(loop, processes, life),
      limit(loop, listener.time_is_up),
      document({identity, spec, files, processes, life, run, meta, actions, output, stdin_queue}),
      publisher(loop, files, document) {
  identity.id = ::getpid();
  auto self = process_stat(identity.id);
  identity.start_ticks = self ? self->start_ticks : 0;
}

Status TaskParts::prepare() {
  // Without the boot id nobody could tell the child from a process that has its pid after a reboot.
  auto boot = io::boot_id();
  if (!boot) return fail(std::move(boot).error());
  identity.boot_id = std::move(*boot);
  return spec.timeout ? limit.prepare() : Status();
}

void TaskParts::use(std::unique_ptr<Rings> rings) {
  output = std::make_unique<OutputStreams>(loop, std::move(rings), listener.output);
}

// Counted from the start of the process, which an adopter finds in the published document.
void TaskParts::begin_limit() {
  if (spec.timeout) limit.arm(seconds_since_boot(run.start_ticks()) + *spec.timeout);
}

}  // namespace bgtask::supervisor
