#include "protocol/wire/messages/requests.h"

#include "protocol/wire/messages/encoding.h"

namespace bgtask::wire {

template <>
inline constexpr auto kMembers<ApplyMetaRequest> = std::tuple{required("meta", &ApplyMetaRequest::meta)};
template <>
inline constexpr auto kMembers<KillRequest> =
    std::tuple{optional("signal", &KillRequest::signal), optional("scope", &KillRequest::scope)};
template <>
inline constexpr auto kMembers<PauseRequest> = std::tuple{optional("pause", &PauseRequest::pause)};
template <>
inline constexpr auto kMembers<RestartRequest> = std::tuple{optional("force", &RestartRequest::force)};
template <>
inline constexpr auto kMembers<StopRequest> =
    std::tuple{optional("grace", &StopRequest::grace), optional("signal", &StopRequest::signal)};
template <>
inline constexpr auto kMembers<DeleteRequest> =
    std::tuple{optional("grace", &DeleteRequest::grace), optional("collect", &DeleteRequest::collect)};
template <>
inline constexpr auto kMembers<StreamInfoRequest> =
    std::tuple{required("stream", &StreamInfoRequest::stream)};
template <>
inline constexpr auto kMembers<ReadRequest> =
    std::tuple{required("stream", &ReadRequest::stream), optional("offset", &ReadRequest::offset),
               optional("count", &ReadRequest::count), optional("peek", &ReadRequest::peek),
               optional("discard", &ReadRequest::discard)};
template <>
inline constexpr auto kMembers<OutputRequest> =
    std::tuple{optional("cursor", &OutputRequest::cursor), optional("streams", &OutputRequest::streams),
               optional("max_bytes", &OutputRequest::max_bytes)};
template <>
inline constexpr auto kMembers<WriteRequest> =
    std::tuple{required("stream", &WriteRequest::stream), required("data", &WriteRequest::data),
               optional("follows", &WriteRequest::follows)};
template <>
inline constexpr auto kMembers<CloseRequest> =
    std::tuple{required("stream", &CloseRequest::stream), optional("immediate", &CloseRequest::immediate)};
template <>
inline constexpr auto kMembers<WaitRequest> =
    std::tuple{optional("for", &WaitRequest::events), optional("cursor", &WaitRequest::cursor),
               optional("timeout", &WaitRequest::timeout), optional("status", &WaitRequest::status)};
template <>
inline constexpr auto kMembers<SubscribeRequest> =
    std::tuple{required("events", &SubscribeRequest::events), optional("cursor", &SubscribeRequest::cursor),
               optional("streams", &SubscribeRequest::streams)};

BGTASK_MESSAGE(PingRequest)
BGTASK_MESSAGE(MethodsRequest)
BGTASK_MESSAGE(InfoRequest)
BGTASK_MESSAGE(ApplyMetaRequest)
BGTASK_MESSAGE(KillRequest)
BGTASK_MESSAGE(PauseRequest)
BGTASK_MESSAGE(ResumeRequest)
BGTASK_MESSAGE(RestartRequest)
BGTASK_MESSAGE(StopRequest)
BGTASK_MESSAGE(DeleteRequest)
BGTASK_MESSAGE(StreamInfoRequest)
BGTASK_MESSAGE(ReadRequest)
BGTASK_MESSAGE(OutputRequest)
BGTASK_MESSAGE(WriteRequest)
BGTASK_MESSAGE(CloseRequest)
BGTASK_MESSAGE(WaitRequest)
BGTASK_MESSAGE(SubscribeRequest)
BGTASK_MESSAGE(UnsubscribeRequest)

namespace {

template <size_t... Index>
AnyRequest decode_nth(size_t which, Json params, std::index_sequence<Index...>) {
  static_assert(
      ((static_cast<size_t>(std::variant_alternative_t<Index, AnyRequest>::kMethod) == Index) && ...),
      "the requests stand in the order of their methods");
  using Decode = AnyRequest (*)(Json);
  static constexpr Decode kDecode[] = {[](Json params_of_one) -> AnyRequest {
    return decode<std::variant_alternative_t<Index, AnyRequest>>(std::move(params_of_one));
  }...};
  return kDecode[which](std::move(params));
}

}  // namespace

WriteHead encode_head(WriteRequest request) {
  constexpr std::string_view kKey = std::get<1>(kMembers<WriteRequest>).key;
  WriteHead head{encode(std::move(request)), kKey};
  head.params.erase(std::string(kKey));
  return head;
}

AnyRequest decode_request(MethodId method, Json params) {
  return decode_nth(static_cast<size_t>(method), std::move(params),
                    std::make_index_sequence<std::variant_size_v<AnyRequest>>());
}

}  // namespace bgtask::wire
