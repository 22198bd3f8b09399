// Requests, replies and events as structs. The keys of their members are in messages.cc and nowhere else.
//
//   const Json params = encode(KillRequest{.signal = {SIGTERM}});
//   const auto reply = decode<SignalledReply>(std::move(result));
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "protocol/wire/json.h"
#include "protocol/wire/messages/replies.h"
#include "protocol/wire/messages/requests.h"
#include "protocol/wire/messages/values.h"
#include "protocol/wire/methods.h"

namespace bgtask::wire {

/// The params of a request, or the result of a reply. Members of a request that have their default are left
/// out: an older supervisor may not know them. Instantiated for every message.
template <class Message>
Json encode(Message message);

/// The other way round. Nothing in a document is trusted: a member that is missing or of a wrong type has its
/// default. (The supervisor refuses such requests before, by validate().)
template <class Message>
Message decode(Json document);

/// A write whose bytes are sent after the rest of it, from where they lie: the params before them, and their
/// key.
struct WriteHead {
  Json params;
  std::string_view data_key;
};
WriteHead encode_head(WriteRequest request);

/// Decodes the params of a request that validate() has passed.
AnyRequest decode_request(MethodId method, Json params);

/// The notification of an event.
template <class Event>
Json encode_event(Event event);
/// The kind that the params of a notification name; "" where they name none.
std::string_view event_kind(const Json& params);

/// A member of a message: for the check against the method table.
struct MemberName {
  std::string_view key;
  bool required;
};
template <class Message>
std::vector<MemberName> members_of();

}  // namespace bgtask::wire
