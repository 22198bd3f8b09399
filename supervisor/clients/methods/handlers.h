// What each method does. A handler gets validated parameters and returns a result or a failure; it never sees
// encodings, ids or connections beyond what Call has.
#pragma once

#include "protocol/wire/codec.h"
#include "protocol/wire/json.h"
#include "protocol/wire/result.h"
#include "supervisor/task/task.h"

namespace bgtask::supervisor {

struct Call {
  Task& task;
  Actor actor;
  const Json& params;
  wire::Encoding encoding;  ///< of the reply: it bounds the size of a page
  uint64_t clients;
  WriteChain& writes;  ///< of this client
};

Result<Json> handle_info(const Call& call);
Result<Json> handle_stream_info(const Call& call);
Result<Json> handle_apply_meta(const Call& call);
Result<Json> handle_kill(const Call& call);
Result<Json> handle_pause(const Call& call);
Result<Json> handle_resume(const Call& call);
Result<Json> handle_restart(const Call& call);
Result<Json> handle_read(const Call& call);
Result<Json> handle_output(const Call& call);
Result<Json> handle_write(const Call& call);
Result<Json> handle_close(const Call& call);

/// bad_argument for the parameter `stream` of a method that the stream does not have.
tl::unexpected<Failure> wrong_stream(const char* needed);

}  // namespace bgtask::supervisor
