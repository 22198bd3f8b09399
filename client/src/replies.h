// Replies of a supervisor as the library's types.
#pragma once

#include <bgtask/json.h>
#include <bgtask/stream.h>
#include <bgtask/task.h>

#include <cstdint>
#include <string>
#include <vector>

#include "protocol/wire/messages.h"

namespace bgtask {

/// Members of documents that nobody vouches for: what is missing or of a wrong type is 0 or empty.
std::uint64_t number_in(const Json& document, const char* key);
std::string text_in(const Json& document, const char* key);

ReadResult to_read_result(wire::ReadReply reply);
MessagesResult to_messages_result(wire::ReadReply reply);
/// Without `eof`, which is not of a page.
Output to_output(wire::OutputPage page);
WaitResult to_wait_result(wire::WaitReply reply);
StopReceipt to_stop_receipt(wire::Receipt reply);
WriteResult to_write_result(const wire::WriteReply& reply);

/// Makes strings of all bytes that are valid UTF-8, as documents of the public interface have them.
void show_text(Json& document);

}  // namespace bgtask
