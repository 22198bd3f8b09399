#include "protocol/wire/launch.h"

#include <sys/resource.h>

#include <algorithm>

#include "protocol/wire/limits.h"
#include "protocol/wire/methods.h"

namespace bgtask::wire {
namespace {

constexpr int kLaunchVersion = 1;
constexpr int kMaxSignal = 64;

Json user_json(const std::optional<UserSpec>& user) {
  if (!user) return nullptr;
  return Json{{"name", user->name}, {"uid", user->uid}, {"gid", user->gid}, {"groups", user->groups}};
}

Json group_json(const std::optional<GroupSpec>& group) {
  if (!group) return nullptr;
  return Json{{"name", group->name}, {"gid", group->gid}};
}

Json seconds_json(std::optional<double> seconds) {
  return seconds ? Json(*seconds) : Json(nullptr);
}

Json in_place_json(const std::optional<InPlaceSpec>& in_place) {
  if (!in_place) return nullptr;
  return Json{{"forward_output", in_place->forward_output}, {"end_with_command", in_place->end_with_command}};
}

Json limits_json(const LaunchSpec& spec) {
  Json limits = Json::object();
  for (const auto& [name, pair] : spec.limits)
    limits[name] = {pair.first, pair.second};
  return limits;
}

// Arguments, environment and paths are bytes: those that are not UTF-8 have travelled as binary values.
std::string text(const Json& value) {
  if (!value.is_binary()) return value.get<std::string>();
  return std::string(value.get_binary().begin(), value.get_binary().end());
}

// A number with a fraction, or one beyond 64 bits, is none: to convert it would be undefined.
template <class T>
T whole(const Json& value) {
  static_cast<void>(value.get_ref<const Json::number_integer_t&>());  // throws
  return value.get<T>();
}

std::vector<gid_t> groups(const Json& list) {
  std::vector<gid_t> result;
  for (const Json& group : list.get_ref<const Json::array_t&>())
    result.push_back(whole<gid_t>(group));
  return result;
}

std::vector<std::string> texts(const Json& list) {
  std::vector<std::string> result;
  for (const Json& value : list.get_ref<const Json::array_t&>())
    result.push_back(text(value));
  return result;
}

std::optional<UserSpec> user_spec(const Json& user) {
  if (user.is_null()) return std::nullopt;
  return UserSpec{user.at("name").get<std::string>(), whole<uid_t>(user.at("uid")),
                  whole<gid_t>(user.at("gid")), groups(user.at("groups"))};
}

std::optional<GroupSpec> group_spec(const Json& group) {
  if (group.is_null()) return std::nullopt;
  return GroupSpec{group.at("name").get<std::string>(), whole<gid_t>(group.at("gid"))};
}

std::optional<double> seconds(const Json& document, const char* key) {
  const Json value = document.value(key, Json(nullptr));
  if (value.is_null()) return std::nullopt;
  return value.get<double>();
}

std::optional<InPlaceSpec> in_place_spec(const Json& in_place) {
  if (in_place.is_null()) return std::nullopt;
  return InPlaceSpec{in_place.at("forward_output").get<bool>(), in_place.at("end_with_command").get<bool>()};
}

LaunchSpec decode(const Json& document) {
  LaunchSpec spec;
  spec.exec = texts(document.at("exec"));
  spec.env = texts(document.at("env"));
  spec.cwd = text(document.at("cwd"));
  spec.umask = whole<mode_t>(document.at("umask"));
  for (const auto& [name, pair] : document.at("limits").items()) {
    spec.limits[name] = {whole<uint64_t>(pair.at(0)), whole<uint64_t>(pair.at(1))};
  }
  spec.user = user_spec(document.at("user"));
  spec.nice = whole<int>(document.at("nice"));
  document.at("stdin_pipe").get_to(spec.stdin_pipe);
  spec.meta = document.at("meta");
  spec.buffer = whole<uint64_t>(document.at("buffer"));
  spec.retain = whole<uint64_t>(document.at("retain"));
  document.at("overflow_block").get_to(spec.overflow_block);
  document.at("rings_in_memory").get_to(spec.rings_in_memory);
  document.at("behavior").get_to(spec.behavior);
  spec.lock_file = text(document.at("lock_file"));
  document.at("kill_on_supervisor_death").get_to(spec.kill_on_supervisor_death);
  spec.memory = whole<uint64_t>(document.value("memory", Json(0)));
  spec.cpus = document.value("cpus", 0.0);
  spec.share_with = group_spec(document.value("share_with", Json(nullptr)));
  spec.in_place = in_place_spec(document.value("in_place", Json(nullptr)));
  if (document.contains("token")) spec.token = text(document.at("token"));
  spec.timeout = seconds(document, "timeout");
  if (document.contains("stop_signal")) spec.stop_signal = whole<int>(document.at("stop_signal"));
  spec.stop_grace = seconds(document, "stop_grace");
  spec.pool_path = text(document.at("pool_path"));
  if (!document.at("adopt").is_null()) spec.adopt = whole<pid_t>(document.at("adopt"));
  return spec;
}

bool is_letter_or_digit(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

tl::unexpected<Failure> bad_spec(const std::string& why) {
  return fail(ErrorCode::kBadArgument, "the launch request is not usable: " + why);
}

}  // namespace

Json to_json(const LaunchSpec& spec) {
  return Json{{"launch", kLaunchVersion},
              {"exec", spec.exec},
              {"env", spec.env},
              {"cwd", spec.cwd},
              {"umask", spec.umask},
              {"limits", limits_json(spec)},
              {"user", user_json(spec.user)},
              {"nice", spec.nice},
              {"stdin_pipe", spec.stdin_pipe},
              {"meta", spec.meta},
              {"buffer", spec.buffer},
              {"retain", spec.retain},
              {"overflow_block", spec.overflow_block},
              {"rings_in_memory", spec.rings_in_memory},
              {"behavior", spec.behavior},
              {"lock_file", spec.lock_file},
              {"kill_on_supervisor_death", spec.kill_on_supervisor_death},
              {"memory", spec.memory},
              {"cpus", spec.cpus},
              {"share_with", group_json(spec.share_with)},
              {"in_place", in_place_json(spec.in_place)},
              {"token", spec.token},
              {"timeout", seconds_json(spec.timeout)},
              {"stop_signal", spec.stop_signal},
              {"stop_grace", seconds_json(spec.stop_grace)},
              {"pool_path", spec.pool_path},
              {"adopt", spec.adopt ? Json(*spec.adopt) : Json(nullptr)}};
}

Result<LaunchSpec> launch_spec(const Json& document) {
  if (!document.is_object()) return bad_spec("it is not an object");
  if (document.value("launch", Json(nullptr)) != kLaunchVersion) {
    return fail(ErrorCode::kVersionMismatch, "this supervisor understands launch requests of version " +
                                                 std::to_string(kLaunchVersion) +
                                                 " only; install matching versions");
  }
  try {
    LaunchSpec spec = decode(document);
    if (spec.exec.empty() && !spec.adopt) return bad_spec("'exec' is empty");
    if (!std::all_of(spec.token.begin(), spec.token.end(), is_letter_or_digit))
      return bad_spec("'token' has other characters than letters and digits");
    if (!spec.meta.is_object()) return bad_spec("'meta' is not an object");
    if (spec.timeout && !(*spec.timeout > 0 && *spec.timeout <= kMaxSeconds))
      return bad_spec("'timeout' is out of range");
    if (spec.stop_grace && !(*spec.stop_grace >= 0 && *spec.stop_grace <= kMaxSeconds))
      return bad_spec("'stop_grace' is out of range");
    if (spec.stop_signal < 1 || spec.stop_signal > kMaxSignal)
      return bad_spec("'stop_signal' is no signal's number");
    return spec;
  } catch (const Json::exception& error) {
    return bad_spec(error.what());
  }
}

std::optional<int> resource_number(const std::string& name) {
  static const std::map<std::string, int> kResources = {
      {"as", RLIMIT_AS},           {"core", RLIMIT_CORE},         {"cpu", RLIMIT_CPU},
      {"data", RLIMIT_DATA},       {"fsize", RLIMIT_FSIZE},       {"locks", RLIMIT_LOCKS},
      {"memlock", RLIMIT_MEMLOCK}, {"msgqueue", RLIMIT_MSGQUEUE}, {"nice", RLIMIT_NICE},
      {"nofile", RLIMIT_NOFILE},   {"nproc", RLIMIT_NPROC},       {"rss", RLIMIT_RSS},
      {"rtprio", RLIMIT_RTPRIO},   {"rttime", RLIMIT_RTTIME},     {"sigpending", RLIMIT_SIGPENDING},
      {"stack", RLIMIT_STACK}};
  auto found = kResources.find(name);
  if (found == kResources.end()) return std::nullopt;
  return found->second;
}

}  // namespace bgtask::wire
