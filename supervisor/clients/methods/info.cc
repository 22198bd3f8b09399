// Methods that describe the task, and the supervisor itself.
#include "supervisor/clients/methods/handlers.h"

namespace bgtask::supervisor {

Result<wire::PingReply> handle(const Call&, const wire::PingRequest&) {
  return wire::PingReply{};
}

Result<wire::DocumentReply> handle(const Call&, const wire::MethodsRequest&) {
  return wire::DocumentReply{wire::describe_methods()};
}

Result<wire::DocumentReply> handle(const Call& call, const wire::InfoRequest&) {
  return wire::DocumentReply{call.task.info(call.clients)};
}

Result<wire::DocumentReply> handle(const Call& call, const wire::StreamInfoRequest& request) {
  return wire::DocumentReply{call.task.stream_info(request.stream.number)};
}

tl::unexpected<Failure> wrong_stream(const char* needed) {
  return wire::bad_parameter("stream", std::string("parameter 'stream' must be ") + needed + " here");
}

}  // namespace bgtask::supervisor
