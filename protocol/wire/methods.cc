#include "protocol/wire/methods.h"

#include <array>
#include <iterator>
#include <limits>
#include <string>

#include "protocol/wire/codec.h"
#include "protocol/wire/signals.h"

namespace bgtask::wire {
namespace {

constexpr bool kRequired = true;
constexpr bool kOptional = false;

constexpr Param kApplyMetaParams[] = {
    {"meta", ParamType::kObject, kRequired, "merged deeply; null removes a key; at most 256 KiB in all"}};
constexpr Param kKillParams[] = {{"signal", ParamType::kSignal, kOptional, "default KILL"},
                                 {"scope", ParamType::kScope, kOptional, "default group"}};
constexpr Param kPauseParams[] = {{"pause", ParamType::kBoolean, kOptional, "default true; false continues"}};
constexpr Param kRestartParams[] = {{"force", ParamType::kBoolean, kOptional,
                                     "default false; true: also beside descendants of the last run"}};
constexpr Param kStopParams[] = {
    {"grace", ParamType::kSeconds, kOptional, "between the signal and KILL; default: the task's stop_grace"},
    {"signal", ParamType::kSignal, kOptional, "default: the task's stop_signal"}};
constexpr Param kDeleteParams[] = {
    {"grace", ParamType::kSeconds, kOptional,
     "between the signal and KILL; default: the task's stop_grace if it was started with one, else 3"},
    {"collect", ParamType::kBoolean, kOptional,
     "default false; unconsumed output comes as events before the reply"}};
constexpr Param kStreamInfoParams[] = {{"stream", ParamType::kStream, kRequired, ""}};
constexpr Param kReadParams[] = {
    {"stream", ParamType::kStream, kRequired, "stdout, stderr or data"},
    {"offset", ParamType::kOffset, kOptional, "default: the first unconsumed byte (message)"},
    {"count", ParamType::kOffset, kOptional, "default: all; a reply holds at most 1 MiB"},
    {"peek", ParamType::kBoolean, kOptional, "default false; true consumes nothing"},
    {"discard", ParamType::kBoolean, kOptional, "default false; true consumes and returns no data"}};
constexpr Param kOutputParams[] = {
    {"cursor", ParamType::kOffset, kOptional, "default 0, the beginning"},
    {"streams", ParamType::kStreamList, kOptional, "default: all output streams"},
    {"max_bytes", ParamType::kOffset, kOptional, "soft: at least one whole record is given"}};
constexpr Param kWriteParams[] = {{"stream", ParamType::kStream, kRequired, "stdin"},
                                  {"data", ParamType::kBytes, kRequired, "at most 256 KiB"},
                                  {"follows", ParamType::kBoolean, kOptional,
                                   "default false; true: only after a write that was taken whole"}};
constexpr Param kCloseParams[] = {
    {"stream", ParamType::kStream, kRequired, "stdin"},
    {"immediate", ParamType::kBoolean, kOptional, "default false: after what is queued"}};
constexpr Param kWaitParams[] = {
    {"for", ParamType::kWaitList, kOptional, "default [\"exit\"]"},
    {"cursor", ParamType::kOffset, kOptional, "default 0; output fires when there is some from here on"},
    {"timeout", ParamType::kSeconds, kOptional, "default: none"},
    {"status", ParamType::kBoolean, kOptional, "default true; false: the reply is without it"}};
constexpr Param kSubscribeParams[] = {
    {"events", ParamType::kEventList, kRequired, ""},
    {"cursor", ParamType::kOffset, kOptional, "default: from now on"},
    {"streams", ParamType::kStreamList, kOptional, "default: all output streams"}};

constexpr Method kMethods[] = {
    {MethodId::kPing, "ping", {}, true, "answers \"pong\""},
    {MethodId::kMethods, "methods", {}, true, "every method with its parameters"},
    {MethodId::kInfo, "info", {}, true, "the info document"},
    {MethodId::kApplyMeta, "apply_meta", kApplyMetaParams, false,
     "merges into the metadata, returns all of it"},
    {MethodId::kKill, "kill", kKillParams, false, "sends a signal: {signalled}"},
    {MethodId::kPause, "pause", kPauseParams, false,
     "stops (or continues) every process of the tree: {signalled}"},
    {MethodId::kResume, "resume", {}, false, "the same as pause: false"},
    {MethodId::kRestart, "restart", kRestartParams, false,
     "runs an ended task's command again: {restarted, child_pid}"},
    {MethodId::kStop, "stop", kStopParams, false,
     "ends every process of the tree, the task stays: {signalled, exited, killed, survivors}"},
    {MethodId::kDelete, "delete", kDeleteParams, false,
     "stops the tree, removes every file, ends the supervisor: {signalled, exited, killed, survivors}"},
    {MethodId::kStreamInfo, "stream_info", kStreamInfoParams, true, "that stream's part of info"},
    {MethodId::kRead, "read", kReadParams, false,
     "{offset, data, missed, start, consumed, limit, lost, eof, taken}; on data: messages"},
    {MethodId::kOutput, "output", kOutputParams, true, "{chunks, next, lost, taken, eof}; consumes nothing"},
    {MethodId::kWrite, "write", kWriteParams, false, "{accepted, pending, room}"},
    {MethodId::kClose, "close", kCloseParams, false, "true"},
    {MethodId::kWait, "wait", kWaitParams, true, "{fired, next, status}"},
    {MethodId::kSubscribe, "subscribe", kSubscribeParams, true, "{next}, then notifications"},
    {MethodId::kUnsubscribe, "unsubscribe", {}, true, "true"},
};

constexpr bool in_order_of_ids() {
  for (size_t i = 0; i < std::size(kMethods); ++i) {
    if (static_cast<size_t>(kMethods[i].id) != i) return false;
  }
  return true;
}
static_assert(in_order_of_ids(), "a method is found by its id");

constexpr std::array<std::string_view, 4> kStreamNames = {"stdin", "stdout", "stderr", "data"};

using Words = std::span<const std::string_view>;
constexpr std::string_view kScopes[] = {"process", "group", "tree"};
constexpr size_t kOutputStreams = 3;
constexpr std::string_view kWaits[] = {"exit", "output", "eof"};
constexpr std::string_view kEvents[] = {"output", "exit", "meta", "stream"};

bool is_word(const Json& value, Words words) {
  if (!value.is_string()) return false;
  const auto& text = value.get_ref<const std::string&>();
  for (std::string_view word : words) {
    if (word == text) return true;
  }
  return false;
}

bool is_list_of(const Json& value, Words words) {
  if (!value.is_array() || value.empty() || value.size() > words.size()) return false;
  for (const Json& item : value) {
    if (!is_word(item, words)) return false;
  }
  return true;
}

bool is_stream_list(const Json& value) {
  if (!value.is_array() || value.empty() || value.size() > kOutputStreams) return false;
  for (const Json& item : value) {
    if (stream_number(item).value_or(0) == 0) return false;
  }
  return true;
}

bool is_offset(const Json& value) {
  if (!value.is_number_integer()) return false;
  if (value.is_number_unsigned()) return value.get<uint64_t>() <= std::numeric_limits<int64_t>::max();
  return value.get<int64_t>() >= 0;
}

bool is_seconds(const Json& value) {
  return value.is_number() && value.get<double>() >= 0 && value.get<double>() <= kMaxSeconds;
}

bool fits(ParamType type, const Json& value) {
  switch (type) {
    case ParamType::kBoolean:
      return value.is_boolean();
    case ParamType::kOffset:
      return is_offset(value);
    case ParamType::kSeconds:
      return is_seconds(value);
    case ParamType::kSignal:
      return signal_number(value).has_value();
    case ParamType::kScope:
      return is_word(value, kScopes);
    case ParamType::kStream:
      return stream_number(value).has_value();
    case ParamType::kStreamList:
      return is_stream_list(value);
    case ParamType::kWaitList:
      return is_list_of(value, kWaits);
    case ParamType::kEventList:
      return is_list_of(value, kEvents);
    case ParamType::kObject:
      return value.is_object();
    case ParamType::kBytes:
      return value.is_string() || value.is_binary() || bytes_of(value);
  }
  __builtin_unreachable();
}

}  // namespace

tl::unexpected<Failure> bad_parameter(std::string_view name, std::string message) {
  return fail(
      Failure{ErrorCode::kBadArgument, std::move(message), 0, Json{{"parameter", std::string(name)}}});
}

tl::unexpected<Failure> wrong_type(std::string_view name, ParamType type) {
  return bad_parameter(name,
                       "parameter '" + std::string(name) + "' must be: " + std::string(type_name(type)));
}

std::span<const Method> methods() {
  return kMethods;
}

const Method* find_method(std::string_view name) {
  for (const Method& method : kMethods) {
    if (method.name == name) return &method;
  }
  return nullptr;
}

std::string_view method_name(MethodId id) {
  return kMethods[static_cast<size_t>(id)].name;
}

std::string_view type_name(ParamType type) {
  switch (type) {
    case ParamType::kBoolean:
      return "boolean";
    case ParamType::kOffset:
      return "integer from 0 to 9223372036854775807";
    case ParamType::kSeconds:
      return "seconds from 0 to 3200000000";
    case ParamType::kSignal:
      return "signal name or number 1 to 64";
    case ParamType::kScope:
      return "\"process\", \"group\" or \"tree\"";
    case ParamType::kStream:
      return "stream: \"stdin\" (0), \"stdout\" (1), \"stderr\" (2) or \"data\"";
    case ParamType::kStreamList:
      return "list of \"stdout\" (1), \"stderr\" (2), \"data\"";
    case ParamType::kWaitList:
      return "list of \"exit\", \"output\", \"eof\"";
    case ParamType::kEventList:
      return "list of \"output\", \"exit\", \"meta\", \"stream\"";
    case ParamType::kObject:
      return "object";
    case ParamType::kBytes:
      return "bytes: a string, msgpack bin, or {\"base64\": \"…\"}";
  }
  __builtin_unreachable();
}

Status validate(const Method& method, const Json& params) {
  auto known = [&](const std::string& name) {
    for (const Param& param : method.params) {
      if (param.name == name) return true;
    }
    return false;
  };
  for (const auto& [name, value] : params.items()) {
    if (!known(name)) {
      std::string shown = printable_name(name);
      return bad_parameter(shown, "'" + std::string(method.name) + "' has no parameter '" + shown + "'");
    }
  }
  for (const Param& param : method.params) {
    std::string name(param.name);
    auto value = params.find(name);
    if (value == params.end()) {
      if (!param.required) continue;
      return bad_parameter(name, "'" + std::string(method.name) + "' needs the parameter '" + name + "'");
    }
    if (!fits(param.type, *value)) {
      return wrong_type(name, param.type);
    }
  }
  return {};
}

Json describe_methods() {
  Json list = Json::object();
  for (const Method& method : kMethods) {
    Json params = Json::object();
    for (const Param& param : method.params) {
      params[std::string(param.name)] = {{"type", std::string(type_name(param.type))},
                                         {"required", param.required},
                                         {"note", std::string(param.note)}};
    }
    list[std::string(method.name)] = {
        {"summary", std::string(method.summary)}, {"read_only", method.read_only}, {"params", params}};
  }
  return list;
}

std::optional<int> stream_number(const Json& value) {
  if (is_offset(value)) {
    auto number = value.get<uint64_t>();
    return number <= 2 ? std::optional<int>(static_cast<int>(number)) : std::nullopt;
  }
  if (!value.is_string()) return std::nullopt;
  const auto& name = value.get_ref<const std::string&>();
  for (size_t i = 0; i < kStreamNames.size(); ++i) {
    if (kStreamNames[i] == name) return static_cast<int>(i);
  }
  return std::nullopt;
}

std::string_view stream_name(int number) {
  return kStreamNames[static_cast<size_t>(number)];
}

}  // namespace bgtask::wire
