#include "protocol/wire/methods.h"
#include "supervisor/clients/methods/handlers.h"

namespace bgtask::supervisor {

Result<Json> handle_info(const Call& call) {
  return call.task.info(call.clients);
}

Result<Json> handle_stream_info(const Call& call) {
  return call.task.stream_info(*wire::stream_number(call.params.at("stream")));
}

tl::unexpected<Failure> wrong_stream(const char* needed) {
  return fail(Failure{ErrorCode::kBadArgument, std::string("parameter 'stream' must be ") + needed + " here",
                      0, Json{{"parameter", "stream"}}});
}

}  // namespace bgtask::supervisor
