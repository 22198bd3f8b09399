// Methods that act on the processes and the metadata.
#include "protocol/wire/signals.h"
#include "supervisor/clients/methods/handlers.h"

namespace bgtask::supervisor {
namespace {

Result<wire::SignalledReply> signalled(const Result<uint64_t>& count) {
  if (!count) return fail(count.error());
  return wire::SignalledReply{*count};
}

Result<wire::SignalledReply> pause(const Call& call, bool stop) {
  auto count = call.task.pause(stop);
  if (count) call.task.note(call.actor, stop ? "pause" : "resume");
  return signalled(count);
}

}  // namespace

Result<wire::DocumentReply> handle(const Call& call, const wire::ApplyMetaRequest& request) {
  auto merged = call.task.apply_meta(request.meta);
  if (!merged) return fail(std::move(merged).error());
  return wire::DocumentReply{std::move(*merged)};
}

Result<wire::SignalledReply> handle(const Call& call, const wire::KillRequest& request) {
  auto count = call.task.kill(request.signal.number, request.scope);
  if (count) {
    call.task.note(call.actor, wire::signal_name(request.signal.number) + " to the " +
                                   std::string(wire::scope_name(request.scope)));
  }
  return signalled(count);
}

Result<wire::SignalledReply> handle(const Call& call, const wire::PauseRequest& request) {
  return pause(call, request.pause);
}

Result<wire::SignalledReply> handle(const Call& call, const wire::ResumeRequest&) {
  return pause(call, false);
}

}  // namespace bgtask::supervisor
