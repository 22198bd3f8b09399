#include "protocol/wire/messages/encoding.h"

#include <algorithm>
#include <array>

#include "protocol/wire/signals.h"

namespace bgtask::wire {
namespace {

constexpr std::array<std::string_view, 3> kScopes = {"process", "group", "tree"};

/// A word in a list, and the flag that it sets.
template <class Flags>
struct Word {
  std::string_view word;
  bool Flags::*flag;
};

constexpr Word<WaitEvents> kWaitEvents[] = {
    {"exit", &WaitEvents::exit}, {"output", &WaitEvents::output}, {"eof", &WaitEvents::eof}};
constexpr Word<EventKinds> kEventKinds[] = {{"output", &EventKinds::output},
                                            {"exit", &EventKinds::exit},
                                            {"meta", &EventKinds::meta},
                                            {"stream", &EventKinds::stream}};

template <class Flags, size_t N>
Json put_words(const Flags& flags, const Word<Flags> (&words)[N]) {
  Json list = Json::array();
  for (const Word<Flags>& word : words) {
    if (flags.*word.flag) list.push_back(std::string(word.word));
  }
  return list;
}

template <class Flags, size_t N>
bool take_words(const Json& list, Flags& flags, const Word<Flags> (&words)[N]) {
  if (!list.is_array()) return false;
  flags = {};
  for (const Json& item : list) {
    if (!item.is_string()) continue;
    for (const Word<Flags>& word : words) {
      if (item.get_ref<const std::string&>() == word.word) flags.*word.flag = true;
    }
  }
  return true;
}

}  // namespace

Json put(Bytes bytes) {
  return std::move(bytes).value();
}

Json put(Stream stream) {
  return Json(std::string(stream_name(stream.number)));
}

Json put(StreamSet streams) {
  Json names = Json::array();
  for (int number = 1; number <= 3; ++number) {
    if ((streams.bits >> number & 1u) != 0) names.push_back(std::string(stream_name(number)));
  }
  return names;
}

Json put(Signal signal) {
  return Json(signal.number);
}

std::string_view scope_name(SignalScope scope) {
  return kScopes[static_cast<size_t>(scope)];
}

Json put(SignalScope scope) {
  return Json(std::string(scope_name(scope)));
}

Json put(const WaitEvents& events) {
  return put_words(events, kWaitEvents);
}

Json put(const EventKinds& events) {
  return put_words(events, kEventKinds);
}

bool take(Json& value, bool& member) {
  if (!value.is_boolean()) return false;
  member = value.get<bool>();
  return true;
}

bool take(Json& value, uint64_t& member) {
  if (!value.is_number_integer()) return false;
  if (!value.is_number_unsigned() && value.get<int64_t>() < 0) return false;
  member = value.get<uint64_t>();
  return true;
}

bool take(Json& value, double& member) {
  if (!value.is_number()) return false;
  member = value.get<double>();
  return true;
}

bool take(Json& value, pid_t& member) {
  uint64_t number = 0;
  if (!take(value, number) || !std::in_range<pid_t>(number)) return false;
  member = static_cast<pid_t>(number);
  return true;
}

bool take(Json& value, std::string& member) {
  if (!value.is_string()) return false;
  member = std::move(value.get_ref<std::string&>());
  return true;
}

bool take(Json& value, Json& member) {
  member = std::move(value);
  return true;
}

bool take(Json& value, Bytes& member) {
  member = Bytes::of(std::move(value));
  return true;
}

bool take(Json& value, Stream& member) {
  const std::optional<int> number = stream_number(value);
  if (number) member.number = *number;
  return number.has_value();
}

bool take(Json& value, StreamSet& member) {
  if (!value.is_array()) return false;
  member.bits = 0;
  for (const Json& item : value)
    member.bits |= 1u << stream_number(item).value_or(0) & StreamSet::kAll;
  return true;
}

bool take(Json& value, Signal& member) {
  const std::optional<int> number = signal_number(value);
  if (number) member.number = *number;
  return number.has_value();
}

bool take(Json& value, SignalScope& member) {
  if (!value.is_string()) return false;
  for (size_t i = 0; i < kScopes.size(); ++i) {
    if (value.get_ref<const std::string&>() != kScopes[i]) continue;
    member = static_cast<SignalScope>(i);
    return true;
  }
  return false;
}

std::optional<WaitEvents> wait_events(const std::vector<std::string>& words) {
  WaitEvents events;
  const auto set = [&](const std::string& word) {
    for (const Word<WaitEvents>& known : kWaitEvents) {
      if (known.word == word) return events.*known.flag = true;
    }
    return false;
  };
  if (words.empty() || !std::all_of(words.begin(), words.end(), set)) return std::nullopt;
  return events;
}

bool take(Json& value, WaitEvents& member) {
  return take_words(value, member, kWaitEvents);
}

bool take(Json& value, EventKinds& member) {
  return take_words(value, member, kEventKinds);
}

}  // namespace bgtask::wire
