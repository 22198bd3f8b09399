// Methods of the stream that clients write to.
#include "protocol/wire/limits.h"
#include "supervisor/clients/methods/handlers.h"

namespace bgtask::supervisor {

Result<wire::WriteReply> handle(const Call& call, const wire::WriteRequest& request) {
  if (request.stream.number != 0) return wrong_stream("\"stdin\"");
  const std::string_view data = request.data.view();
  if (data.size() > wire::kMaxWriteData) {
    return fail(ErrorCode::kFrameTooLarge, "'data' has " + std::to_string(data.size()) + " bytes; at most " +
                                               std::to_string(wire::kMaxWriteData) + " are taken at once");
  }
  if (request.follows && !call.writes.before) {
    return fail(ErrorCode::kWouldBlock,
                "the message before was not a write, or not all of its bytes were taken: they come first");
  }
  auto written = call.task.stdin_queue().write(data);
  if (!written) return fail(std::move(written).error());
  call.writes.now = written->accepted == data.size();
  return wire::WriteReply{written->accepted, written->pending, written->room};
}

Result<wire::TrueReply> handle(const Call& call, const wire::CloseRequest& request) {
  if (request.stream.number != 0) return wrong_stream("\"stdin\"");
  Status closed = call.task.stdin_queue().close(request.immediate);
  if (!closed) return fail(std::move(closed).error());
  return wire::TrueReply{};
}

}  // namespace bgtask::supervisor
