// The requests of a recording: every method at least once, in an order that works.
#pragma once

#include <string>
#include <vector>

#include "tests/e2e/fixture.h"

namespace bgtask::compat {

struct Request {
  std::string method;
  Json params;
};

inline std::vector<Request> requests() {
  return {{"ping", Json::object()},
          {"methods", Json::object()},
          {"apply_meta", {{"meta", {{"name", "recorded"}, {"nested", {{"key", 1}}}}}}},
          {"write", {{"stream", "stdin"}, {"data", "first line\n"}}},
          {"wait", {{"for", {"output"}}, {"cursor", 0}, {"timeout", 30}}},
          {"info", Json::object()},
          {"stream_info", {{"stream", "stdout"}}},
          {"output", {{"cursor", 0}, {"streams", {"stdout", "data"}}, {"max_bytes", 65536}}},
          {"read", {{"stream", 1}, {"peek", true}}},
          {"read", {{"stream", "stdout"}, {"offset", 0}, {"count", 5}}},
          {"read", {{"stream", "data"}, {"peek", true}}},
          {"subscribe", {{"events", {"output", "exit", "meta", "stream"}}, {"streams", {"stdout"}}}},
          {"unsubscribe", Json::object()},
          {"pause", {{"pause", true}}},
          {"resume", Json::object()},
          {"restart", Json::object()},
          {"kill", {{"signal", "CONT"}, {"scope", "process"}}},
          {"no_such_method", Json::object()},
          {"read", {{"stream", "stdout"}, {"offset", -1}}},
          {"close", {{"stream", "stdin"}, {"immediate", false}}},
          {"wait", {{"for", {"exit"}}, {"timeout", 30}}},
          {"delete", {{"grace", 1}, {"collect", false}}}};
}

/// The command they are sent to: prints what it is told, says one message, and ends with its stdin.
inline SpawnOptions command() {
  return {.exec = {"/bin/sh", "-c", "printf '{\"progress\": 10}' >&3; cat"},
          .clear_env = true,
          .cwd = "/",
          .meta = {{"name", "recorded"}},
          .buffer = 4096};
}

}  // namespace bgtask::compat
