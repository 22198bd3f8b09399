// Methods that act on the processes and the metadata.
#include "protocol/wire/signals.h"
#include "supervisor/methods/handlers.h"

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

}  // namespace

Result<Json> handle_apply_meta(const Call& call) {
  return call.task.apply_meta(call.params.at("meta"));
}

Result<Json> handle_kill(const Call& call) {
  int signal = *wire::signal_number(call.params.value("signal", Json("KILL")));
  return signalled(call.task.kill(signal, scope_of(call.params)));
}

Result<Json> handle_pause(const Call& call) {
  return signalled(call.task.pause(call.params.value("pause", true)));
}

Result<Json> handle_resume(const Call& call) {
  return signalled(call.task.pause(false));
}

Result<Json> handle_restart(const Call& call) {
  return call.task.restart();
}

}  // namespace bgtask::supervisor
