// How the members of messages are put into documents and taken out of them. Private to wire.
//
// A message lists its members once, in kMembers. Encoding, decoding and the check against the method table go
// through that list.
#pragma once

#include <concepts>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "protocol/wire/messages.h"

namespace bgtask::wire {

/// A member and its key. One that is optional is left out of a document where it has its default.
template <class M, class T, bool Required>
struct Member {
  static constexpr bool kRequired = Required;
  std::string_view key;
  T M::*pointer;
};

template <class M, class T>
constexpr Member<M, T, true> required(std::string_view key, T M::*pointer) {
  return {key, pointer};
}
template <class M, class T>
constexpr Member<M, T, false> optional(std::string_view key, T M::*pointer) {
  return {key, pointer};
}

/// A tuple of all members of a message; specialised for each.
template <class M>
inline constexpr std::tuple<> kMembers{};

template <class M>
concept HasMembers = std::tuple_size_v<std::remove_const_t<decltype(kMembers<M>)>>
!= 0;

// Values. `put` makes that of a member, `take` reads it and is false for a value of another type, which
// leaves the member as it was.

Json put(Bytes bytes);
Json put(Stream stream);
Json put(StreamSet streams);
Json put(Signal signal);
Json put(SignalScope scope);
Json put(const WaitEvents& events);
Json put(const EventKinds& events);

bool take(Json& value, bool& member);
bool take(Json& value, uint64_t& member);
bool take(Json& value, double& member);
bool take(Json& value, pid_t& member);
bool take(Json& value, std::string& member);
bool take(Json& value, Json& member);
bool take(Json& value, Bytes& member);
bool take(Json& value, Stream& member);
bool take(Json& value, StreamSet& member);
bool take(Json& value, Signal& member);
bool take(Json& value, SignalScope& member);
bool take(Json& value, WaitEvents& member);
bool take(Json& value, EventKinds& member);

template <class T>
requires std::constructible_from<Json, T> &&(!HasMembers<T>)Json put(T value) {
  return Json(std::move(value));
}

template <HasMembers M>
Json put(M message);
template <HasMembers M>
bool take(Json& document, M& message);

template <class T>
Json put(std::optional<T> value) {
  return value ? put(std::move(*value)) : Json(nullptr);
}

template <class T>
bool take(Json& value, std::optional<T>& member) {
  if (value.is_null()) {
    member.reset();
    return true;
  }
  T taken{};
  if (!take(value, taken)) return false;
  member = std::move(taken);
  return true;
}

template <class T>
Json put(std::vector<T> list) {
  Json::array_t values;
  values.reserve(list.size());
  for (T& item : list)
    values.push_back(put(std::move(item)));
  return Json(std::move(values));
}

template <class T>
bool take(Json& value, std::vector<T>& member) {
  if (!value.is_array()) return false;
  member.clear();
  member.reserve(value.size());
  for (Json& item : value) {
    T taken{};
    if (take(item, taken)) member.push_back(std::move(taken));
  }
  return true;
}

template <class T>
bool is_default(const T& value, const T& preset) {
  return value == preset;
}
template <class T>
bool is_default(const std::optional<T>& value, const std::optional<T>&) {
  return !value.has_value();
}

template <HasMembers M>
Json put(M message) {
  const M preset{};
  Json document = Json::object();
  const auto put_member = [&](const auto& member) {
    auto& value = message.*member.pointer;
    if constexpr (!std::remove_cvref_t<decltype(member)>::kRequired) {
      if (is_default(value, preset.*member.pointer)) return;
    }
    document[std::string(member.key)] = put(std::move(value));
  };
  std::apply([&](const auto&... member) { (put_member(member), ...); }, kMembers<M>);
  return document;
}

template <HasMembers M>
bool take(Json& document, M& message) {
  if (!document.is_object()) return false;
  auto& object = document.get_ref<Json::object_t&>();
  const auto take_member = [&](const auto& member) {
    const auto found = object.find(member.key);
    if (found != object.end()) take(found->second, message.*member.pointer);
  };
  std::apply([&](const auto&... member) { (take_member(member), ...); }, kMembers<M>);
  return true;
}

template <class M>
Json encode(M message) {
  if constexpr (HasMembers<M>) {
    return put(std::move(message));
  } else {
    return Json::object();
  }
}

template <class M>
M decode(Json document) {
  M message{};
  if constexpr (HasMembers<M>) take(document, message);
  return message;
}

template <class M>
std::vector<MemberName> members_of() {
  return std::apply(
      [](const auto&... member) {
        return std::vector<MemberName>{
            MemberName{member.key, std::remove_cvref_t<decltype(member)>::kRequired}...};
      },
      kMembers<M>);
}

/// Instantiates what messages.h declares for a message.
#define BGTASK_MESSAGE(M)     \
  template Json encode<M>(M); \
  template M decode<M>(Json); \
  template std::vector<MemberName> members_of<M>();

}  // namespace bgtask::wire
