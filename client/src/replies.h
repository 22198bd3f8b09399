// Replies of a supervisor as the library's types. Nothing in them is trusted: what is missing or of a wrong
// type is 0, empty or null.
#pragma once

#include <bgtask/json.h>
#include <bgtask/stream.h>
#include <bgtask/task.h>

#include <cstdint>
#include <string>
#include <vector>

namespace bgtask {

std::uint64_t number_in(const Json& document, const char* key);
bool flag_in(const Json& document, const char* key);
std::string text_in(const Json& document, const char* key);

ReadResult to_read_result(Json reply);
MessagesResult to_messages_result(const Json& reply);
/// A reply to `output`, or the params of an event "output".
Output to_output(const Json& reply);
WaitResult to_wait_result(const Json& reply);
RemoveReceipt to_receipt(const Json& reply);
WriteResult to_write_result(const Json& reply);

/// Makes strings of all bytes that are valid UTF-8, as documents of the public interface have them.
void show_text(Json& document);

}  // namespace bgtask
