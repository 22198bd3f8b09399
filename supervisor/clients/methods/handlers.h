// A handler for each method that is answered at once. It gets a decoded request and returns the reply or a
// failure; it never sees encodings, ids or connections beyond what Call has.
#pragma once

#include "protocol/ring/output_reader.h"
#include "protocol/wire/codec.h"
#include "protocol/wire/messages.h"
#include "protocol/wire/result.h"
#include "supervisor/task/task.h"

namespace bgtask::supervisor {

struct Call {
  Task& task;
  Actor actor;
  wire::Encoding encoding;  ///< of the reply: it bounds the size of a page
  uint64_t clients;
  WriteChain& writes;             ///< of this client
  ring::LastOutput& last_output;  ///< likewise
};

Result<wire::PingReply> handle(const Call& call, const wire::PingRequest& request);
Result<wire::DocumentReply> handle(const Call& call, const wire::MethodsRequest& request);
Result<wire::DocumentReply> handle(const Call& call, const wire::InfoRequest& request);
Result<wire::DocumentReply> handle(const Call& call, const wire::StreamInfoRequest& request);
Result<wire::DocumentReply> handle(const Call& call, const wire::ApplyMetaRequest& request);
Result<wire::SignalledReply> handle(const Call& call, const wire::KillRequest& request);
Result<wire::SignalledReply> handle(const Call& call, const wire::PauseRequest& request);
Result<wire::SignalledReply> handle(const Call& call, const wire::ResumeRequest& request);
Result<wire::ReadReply> handle(const Call& call, const wire::ReadRequest& request);
Result<wire::OutputReply> handle(const Call& call, const wire::OutputRequest& request);
Result<wire::WriteReply> handle(const Call& call, const wire::WriteRequest& request);
Result<wire::TrueReply> handle(const Call& call, const wire::CloseRequest& request);

/// bad_argument for the parameter `stream` of a method that the stream does not have.
tl::unexpected<Failure> wrong_stream(const char* needed);

}  // namespace bgtask::supervisor
