#include "protocol/wire/methods.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <vector>

namespace bgtask::wire {
namespace {

struct Samples {
  std::vector<Json> good;
  std::vector<Json> bad;
};

Samples samples(ParamType type) {
  switch (type) {
    case ParamType::kBoolean:
      return {{true, false}, {nullptr, 1, "true", Json::array()}};
    case ParamType::kOffset:
      return {{0, 1, INT64_MAX}, {-1, 1.5, "1", true, nullptr, uint64_t{INT64_MAX} + 1, 1e30}};
    case ParamType::kSeconds:
      return {{0, 0.5, 3600, kMaxSeconds}, {-0.1, "1", nullptr, true, kMaxSeconds * 2}};
    case ParamType::kSignal:
      return {{"TERM", "SIGKILL", "rtmin+1", 1, 64},
              {0, 65, -1, "", "NOPE", "SIG", 9.5, nullptr, true, "RTMIN+31"}};
    case ParamType::kScope:
      return {{"process", "group", "tree"}, {"", "all", 1, nullptr}};
    case ParamType::kStream:
      return {{"stdin", "stdout", "stderr", "data", 0, 1, 2}, {3, -1, "", "out", nullptr, 1.0, true}};
    case ParamType::kStreamList:
      return {{Json::array({"stdout"}), Json::array({"stderr", "data"}), Json::array({1, 2}),
               Json::array({1, "data"})},
              {"stdout", 1, Json::array(), Json::array({"stdin"}), Json::array({0}), Json::array({3}),
               Json::array({1.0}), Json::array({1, 2, 1, 2}), nullptr}};
    case ParamType::kWaitList:
      return {{Json::array({"exit"}), Json::array({"output", "eof", "exit"})},
              {"exit", Json::array(), Json::array({"end"}), nullptr}};
    case ParamType::kEventList:
      return {{Json::array({"output", "exit", "meta", "stream"})},
              {"output", Json::array(), Json::array({"x"}), nullptr}};
    case ParamType::kObject:
      return {{Json::object(), Json{{"a", 1}}}, {nullptr, "text", Json::array(), 1}};
    case ParamType::kBytes:
      return {{"text", "", Json::binary({0}), Json{{"base64", "AA=="}}},
              {nullptr, 1, Json::array(), Json::object(), Json{{"base64", "?"}}}};
  }
  return {};
}

Json required_params(const Method& method) {
  Json params = Json::object();
  for (const Param& param : method.params) {
    if (param.required) params[std::string(param.name)] = samples(param.type).good.front();
  }
  return params;
}

void expect_refused(const Method& method, const Json& params, std::string_view name) {
  Status valid = validate(method, params);
  ASSERT_FALSE(valid) << method.name << ' ' << params;
  EXPECT_EQ(valid.error().code, ErrorCode::kBadArgument);
  EXPECT_EQ(valid.error().data["parameter"], std::string(name)) << method.name << ' ' << params;
  EXPECT_NE(valid.error().message.find(name), std::string::npos) << valid.error().message;
}

TEST(Methods, EveryParameterOfEveryMethod) {
  for (const Method& method : methods()) {
    EXPECT_TRUE(validate(method, required_params(method))) << method.name;
    for (const Param& param : method.params) {
      std::string name(param.name);
      for (const Json& value : samples(param.type).good) {
        Json params = required_params(method);
        params[name] = value;
        EXPECT_TRUE(validate(method, params)) << method.name << ' ' << params;
      }
      for (const Json& value : samples(param.type).bad) {
        Json params = required_params(method);
        params[name] = value;
        expect_refused(method, params, name);
      }
      if (!param.required) continue;
      Json params = required_params(method);
      params.erase(name);
      expect_refused(method, params, name);
    }
    Json params = required_params(method);
    params["no_such_parameter"] = 1;
    expect_refused(method, params, "no_such_parameter");
  }
}

TEST(Methods, TheContractsMethodsAreAllThere) {
  std::set<std::string_view> names;
  for (const Method& method : methods()) {
    EXPECT_TRUE(names.insert(method.name).second);
    EXPECT_EQ(find_method(method.name), &method);
  }
  EXPECT_EQ(names,
            (std::set<std::string_view>{"ping", "methods", "info", "apply_meta", "kill", "pause", "resume",
                                        "restart", "stop", "delete", "stream_info", "read", "output", "write",
                                        "close", "wait", "subscribe", "unsubscribe"}));
  EXPECT_EQ(find_method("Ping"), nullptr);
  EXPECT_EQ(find_method(""), nullptr);
}

TEST(Methods, DescriptionIsMadeFromTheTable) {
  Json described = describe_methods();
  ASSERT_EQ(described.size(), methods().size());
  for (const Method& method : methods()) {
    const Json& params = described.at(std::string(method.name)).at("params");
    ASSERT_EQ(params.size(), method.params.size());
    for (const Param& param : method.params) {
      EXPECT_EQ(params.at(std::string(param.name)).at("required"), param.required);
      EXPECT_EQ(params.at(std::string(param.name)).at("type"), std::string(type_name(param.type)));
    }
  }
}

TEST(Methods, StreamsHaveNumbersAndNames) {
  for (int number = 0; number <= 3; ++number)
    EXPECT_EQ(stream_number(Json(std::string(stream_name(number)))), number);
}

}  // namespace
}  // namespace bgtask::wire
