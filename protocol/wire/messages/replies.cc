#include "protocol/wire/messages/replies.h"

#include "protocol/wire/message.h"
#include "protocol/wire/messages/encoding.h"

namespace bgtask::wire {

template <>
inline constexpr auto kMembers<Lost> =
    std::tuple{required("stdout", &Lost::out), required("stderr", &Lost::err), required("data", &Lost::data)};
template <>
inline constexpr auto kMembers<Gaps> =
    std::tuple{required("stdout", &Gaps::out), required("stderr", &Gaps::err), required("data", &Gaps::data)};
template <>
inline constexpr auto kMembers<SignalledReply> =
    std::tuple{required("signalled", &SignalledReply::signalled)};
template <>
inline constexpr auto kMembers<RestartReply> = std::tuple{required("restarted", &RestartReply::restarted),
                                                          required("child_pid", &RestartReply::child_pid)};
template <>
inline constexpr auto kMembers<Receipt> =
    std::tuple{required("signalled", &Receipt::signalled), required("exited", &Receipt::exited),
               required("killed", &Receipt::killed), required("survivors", &Receipt::survivors)};
template <>
inline constexpr auto kMembers<StoredMessage> =
    std::tuple{required("offset", &StoredMessage::offset), required("time", &StoredMessage::time),
               required("data", &StoredMessage::data)};
template <>
inline constexpr auto kMembers<ReadReply> =
    std::tuple{required("offset", &ReadReply::offset),     optional("data", &ReadReply::data),
               optional("messages", &ReadReply::messages), required("missed", &ReadReply::missed),
               required("start", &ReadReply::start),       required("consumed", &ReadReply::consumed),
               required("limit", &ReadReply::limit),       required("lost", &ReadReply::lost),
               required("gap", &ReadReply::gap),           required("eof", &ReadReply::eof),
               required("taken", &ReadReply::taken)};
template <>
inline constexpr auto kMembers<Chunk> = std::tuple{
    required("seq", &Chunk::seq), required("time", &Chunk::time), required("stream", &Chunk::stream),
    required("offset", &Chunk::offset), required("data", &Chunk::data)};
template <>
inline constexpr auto kMembers<OutputReply> =
    std::tuple{required("chunks", &OutputReply::chunks), required("next", &OutputReply::next),
               required("lost", &OutputReply::lost),     required("taken", &OutputReply::taken),
               required("gap", &OutputReply::gap),       required("eof", &OutputReply::eof)};
template <>
inline constexpr auto kMembers<WriteReply> =
    std::tuple{required("accepted", &WriteReply::accepted), required("pending", &WriteReply::pending),
               required("room", &WriteReply::room)};
template <>
inline constexpr auto kMembers<WaitReply> =
    std::tuple{required("fired", &WaitReply::fired), required("next", &WaitReply::next),
               optional("status", &WaitReply::status)};
template <>
inline constexpr auto kMembers<SubscribeReply> = std::tuple{required("next", &SubscribeReply::next)};
template <>
inline constexpr auto kMembers<OutputEvent> =
    std::tuple{required("chunks", &OutputEvent::chunks), required("next", &OutputEvent::next),
               required("lost", &OutputEvent::lost), required("taken", &OutputEvent::taken)};
template <>
inline constexpr auto kMembers<ExitEvent> =
    std::tuple{required("status", &ExitEvent::status), required("runs", &ExitEvent::runs)};
template <>
inline constexpr auto kMembers<MetaEvent> = std::tuple{required("meta", &MetaEvent::meta)};
template <>
inline constexpr auto kMembers<StreamEvent> =
    std::tuple{required("stream", &StreamEvent::stream), required("eof", &StreamEvent::eof),
               required("gap", &StreamEvent::gap), required("error", &StreamEvent::error)};

// Replies that are no objects with members.

template <>
Json encode(PingReply) {
  return Json("pong");
}
template <>
PingReply decode(Json) {
  return {};
}
template <>
Json encode(TrueReply) {
  return Json(true);
}
template <>
TrueReply decode(Json) {
  return {};
}
template <>
Json encode(DocumentReply reply) {
  return std::move(reply.document);
}
template <>
DocumentReply decode(Json document) {
  return {std::move(document)};
}

BGTASK_MESSAGE(SignalledReply)
BGTASK_MESSAGE(RestartReply)
BGTASK_MESSAGE(Receipt)
BGTASK_MESSAGE(ReadReply)
BGTASK_MESSAGE(OutputReply)
BGTASK_MESSAGE(WriteReply)
BGTASK_MESSAGE(WaitReply)
BGTASK_MESSAGE(SubscribeReply)
BGTASK_MESSAGE(OutputEvent)
BGTASK_MESSAGE(ExitEvent)
BGTASK_MESSAGE(MetaEvent)
BGTASK_MESSAGE(StreamEvent)

namespace {

constexpr char kKindKey[] = "event";

}  // namespace

template <class Event>
Json encode_event(Event event) {
  Json params = encode(std::move(event));
  params[kKindKey] = std::string(Event::kKind);
  return make_event(std::move(params));
}

template Json encode_event(OutputEvent);
template Json encode_event(ExitEvent);
template Json encode_event(MetaEvent);
template Json encode_event(StreamEvent);

std::string_view event_kind(const Json& params) {
  if (!params.is_object()) return {};
  const auto kind = params.find(kKindKey);
  return kind != params.end() && kind->is_string() ? std::string_view(kind->get_ref<const std::string&>())
                                                   : std::string_view();
}

}  // namespace bgtask::wire
