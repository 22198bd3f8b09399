// JSON-RPC 2.0 envelopes.
#pragma once

#include <string>
#include <string_view>

#include "protocol/wire/json.h"
#include "protocol/wire/result.h"

namespace bgtask::wire {

struct Request {
  Json id;                    ///< null for a notification and for an explicit null; see expects_reply
  bool expects_reply = true;  ///< false where there was no "id" member
  std::string method;
  Json params;  ///< an object
};

/// Checks the envelope. invalid_request for a batch, a missing jsonrpc or method, an id or params of a wrong
/// type, a member that a request does not have. Only what is a request is taken out of `document`.
Result<Request> parse_request(Json& document);
/// The id to answer an invalid request with: its own where that can be read, else null.
Json id_of(const Json& document);

Json make_request(const Json& id, std::string_view method, Json params);
Json make_reply(const Json& id, Json result);
/// {"code", "message", "data": {"error": WORD, "os_error": n, …}}; the standard codes have no word.
Json make_error(const Json& id, const Failure& failure);
Json make_event(Json params);

/// The result of a reply, or the Failure it carries. A word unknown to this version is kept in
/// Failure::data["error"], which is where clients should take the word from.
Result<Json> parse_reply(Json document);

}  // namespace bgtask::wire
