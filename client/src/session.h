// One conversation with a supervisor: requests in, bytes to send out; received bytes in, messages out. It
// holds no descriptor and never waits, so the same code serves the blocking Connection and the event-driven
// Watch.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "protocol/wire/codec.h"
#include "protocol/wire/json.h"
#include "protocol/wire/result.h"

namespace bgtask {

/// The answer to the request with this id.
struct SessionReply {
  std::int64_t id;
  Result<Json> result;
};
/// An event of a subscription, or one that comes before the reply to a request.
struct SessionEvent {
  Json params;
};
/// An error that answers no request: the supervisor refused the connection or a request as such, did nothing,
/// and closes the connection.
struct SessionRefusal {
  Failure failure;
};
/// The bytes received are not the protocol. Nothing after them can be understood: the connection is to be
/// closed.
struct SessionBroken {
  Failure failure;
};
using SessionMessage = std::variant<SessionReply, SessionEvent, SessionRefusal, SessionBroken>;

/// Not to be used from two threads at once. An idle session holds no buffers.
///
///   const std::int64_t id = session.request("ping", params);
///   while (session.has_unsent()) session.sent(send(fd, session.unsent()));
///   session.received(recv(fd));
///   while (auto message = session.next()) …
class ClientSession {
 public:
  /// `max_frame`: the longest message accepted, in bytes; a longer one breaks the session (frame_too_large).
  explicit ClientSession(std::size_t max_frame);

  /// Encodes a request and queues its bytes; returns its id, which its reply carries. `params` is as before
  /// afterwards: it may be long, and is not copied.
  std::int64_t request(std::string_view method, Json& params);
  /// A request with `data` as its last parameter, named `name`. The bytes are not copied: they must stay
  /// until they are sent or the next request is queued.
  std::int64_t request(std::string_view method, const Json& params, std::string_view name,
                       std::string_view data);

  bool has_unsent() const { return !head_.empty() || !data_.empty(); }
  /// The bytes to send next, in two pieces of which either may be empty.
  std::array<std::string_view, 2> unsent() const;
  /// So many bytes of unsent() are sent.
  void sent(std::size_t size);
  /// The peer has closed: nothing more can be sent to it.
  void drop_unsent();

  /// Takes bytes that arrived. Call next() until it is empty before the next bytes, so that memory stays
  /// bounded.
  void received(std::string_view bytes) { framer_.feed(bytes); }
  /// The next complete message; nothing when more bytes are needed or after SessionBroken. Messages that are
  /// none of the four kinds (of a newer supervisor) are skipped.
  std::optional<SessionMessage> next();
  /// Whether a message has begun to arrive and is not complete.
  bool in_message() const { return framer_.in_frame(); }

 private:
  void queue(std::string frame);

  wire::Framer framer_;
  std::int64_t last_id_ = 0;
  std::string head_;  // owned bytes to send; the first `head_sent_` of them are sent
  std::size_t head_sent_ = 0;
  std::string_view data_;  // borrowed bytes to send after them
  bool broken_ = false;
};

}  // namespace bgtask
