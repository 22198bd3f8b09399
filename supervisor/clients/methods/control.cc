// Methods that act on the processes and the metadata.
#include "protocol/wire/signals.h"
#include "supervisor/clients/methods/handlers.h"

namespace bgtask::supervisor {
namespace {

Result<Json> signalled(const Result<uint64_t>& count) {
  if (!count) return fail(count.error());
  return Json{{"signalled", *count}};
}

Scope scope_of(const Json& params) {
  std::string scope = params.value("scope", "group");
  if (scope == "process") return Scope::kProcess;
  return scope == "tree" ? Scope::kTree : Scope::kGroup;
}

Result<Json> pause(const Call& call, bool stop) {
  auto count = call.task.pause(stop);
  if (count) call.task.note(call.actor, stop ? "pause" : "resume");
  return signalled(count);
}

}  // namespace

Result<Json> handle_apply_meta(const Call& call) {
  return call.task.apply_meta(call.params.at("meta"));
}

Result<Json> handle_kill(const Call& call) {
  int signal = *wire::signal_number(call.params.value("signal", Json("KILL")));
  auto count = call.task.kill(signal, scope_of(call.params));
  if (count)
    call.task.note(call.actor, wire::signal_name(signal) + " to the " + call.params.value("scope", "group"));
  return signalled(count);
}

Result<Json> handle_pause(const Call& call) {
  return pause(call, call.params.value("pause", true));
}

Result<Json> handle_resume(const Call& call) {
  return pause(call, false);
}

Result<Json> handle_restart(const Call& call) {
  auto result = call.task.restart();
  if (result && (*result)["restarted"] == true) call.task.note(call.actor, "restart");
  return result;
}

}  // namespace bgtask::supervisor
