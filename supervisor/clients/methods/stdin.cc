// Methods of the stream that clients write to.
#include "protocol/wire/limits.h"
#include "protocol/wire/methods.h"
#include "supervisor/clients/methods/handlers.h"

namespace bgtask::supervisor {
namespace {

bool is_stdin(const Json& params) {
  return wire::stream_number(params.at("stream")) == 0;
}

}  // namespace

Result<Json> handle_write(const Call& call) {
  if (!is_stdin(call.params)) return wrong_stream("\"stdin\"");
  const Json& value = call.params.at("data");
  const std::string decoded = value.is_object() ? *wire::bytes_of(value) : std::string();
  const std::string_view data = value.is_object() ? decoded : wire::raw_bytes(value);
  if (data.size() > wire::kMaxWriteData) {
    return fail(ErrorCode::kFrameTooLarge, "'data' has " + std::to_string(data.size()) + " bytes; at most " +
                                               std::to_string(wire::kMaxWriteData) + " are taken at once");
  }
  if (call.params.value("follows", false) && !call.writes.before) {
    return fail(ErrorCode::kWouldBlock,
                "the message before was not a write, or not all of its bytes were taken: they come first");
  }
  auto written = call.task.stdin_queue().write(data);
  if (!written) return fail(std::move(written).error());
  call.writes.now = written->accepted == data.size();
  return Json{{"accepted", written->accepted}, {"pending", written->pending}, {"room", written->room}};
}

Result<Json> handle_close(const Call& call) {
  if (!is_stdin(call.params)) return wrong_stream("\"stdin\"");
  Status closed = call.task.stdin_queue().close(call.params.value("immediate", false));
  if (!closed) return fail(std::move(closed).error());
  return Json(true);
}

}  // namespace bgtask::supervisor
