// The table of methods, gone through: whatever is missing, of a wrong type, out of range or unknown is named.
#include "protocol/wire/methods.h"

#include <limits>
#include <set>

#include "tests/e2e/fixture.h"

namespace bgtask::e2e {
namespace {

class MethodsTest : public E2eTest, public testing::WithParamInterface<Encoding> {
 protected:
  void SetUp() override {
    E2eTest::SetUp();
    task_.emplace(awkward({"sleep"}, {.meta = {{"untouched", true}}}));
    client_.emplace(socket_of(*task_), GetParam());
  }
  void TearDown() override {
    client_.reset();
    task_.reset();
    E2eTest::TearDown();
  }
  /// The call is refused, for the parameter of this name.
  void expect_refused(std::string_view method, const Json& params, std::string_view name) {
    const Json reply = client_->call(method, params);
    EXPECT_EQ(error_word(reply), "bad_argument") << method << params << reply;
    if (!reply.contains("error")) return;
    EXPECT_EQ(reply["error"]["code"], -32000);
    EXPECT_NE(reply["error"].dump().find(name), std::string::npos) << method << params << reply;
  }
  void expect_unharmed() {
    const Json info = task_->info(true);
    EXPECT_EQ(info["status"]["state"], "running");
    EXPECT_EQ(info["runs"], 1);
    EXPECT_EQ(info["meta"], (Json{{"untouched", true}}));
    EXPECT_EQ(info["streams"]["stdin"]["written"], 0);
    EXPECT_EQ(info["streams"]["stdin"]["eof"], false);
  }
  RawClient& client() { return *client_; }
  Task& task() { return *task_; }

 private:
  std::optional<Task> task_;
  std::optional<RawClient> client_;
};

/// A value of each type that is right (for a task that is running).
Json right_value(const wire::Param& param, Encoding encoding) {
  switch (param.type) {
    case wire::ParamType::kBoolean:
      return true;
    case wire::ParamType::kOffset:
      return 0;
    case wire::ParamType::kSeconds:
      return 0.5;
    case wire::ParamType::kSignal:
      return "CONT";
    case wire::ParamType::kScope:
      return "group";
    case wire::ParamType::kStream:
      return "stdin";
    case wire::ParamType::kStreamList:
      return Json::array({"stdout"});
    case wire::ParamType::kWaitList:
    case wire::ParamType::kEventList:
      return Json::array({"exit"});
    case wire::ParamType::kObject:
      return Json::object();
    case wire::ParamType::kBytes:
      return bytes_value("x", encoding);
  }
  return nullptr;
}

/// Values of each type that are not.
std::vector<Json> wrong_values(wire::ParamType type) {
  const Json object = {{"key", 1}};
  const Json list = {1};
  constexpr uint64_t kTooLarge = uint64_t{1} << 63;
  switch (type) {
    case wire::ParamType::kBoolean:
      return {"true", 1, 0, 0.5, object, list};
    case wire::ParamType::kOffset:
      return {"0",
              -1,
              std::numeric_limits<int64_t>::min(),
              0.5,
              -0.5,
              kTooLarge,
              std::numeric_limits<uint64_t>::max(),
              1e300,
              true,
              object,
              list};
    case wire::ParamType::kSeconds:
      return {"1", -1, -0.001, 1e300, 4e9, true, object, list};
    case wire::ParamType::kSignal:
      return {"", "NONSENSE", "SIG", "SIGSIGTERM", 0, -1, 65, 1'000'000'007, 15.5, true, object, list};
    case wire::ParamType::kScope:
      return {"", "everyone", "Group", 1, true, object, list};
    case wire::ParamType::kStream:
      return {"", "nonsense", "STDOUT ", 4, -1, 1.5, kTooLarge, true, object, list};
    case wire::ParamType::kStreamList:
      return {"stdout",
              Json::array({"nonsense"}),
              Json::array({"stdin"}),
              Json::array({1.5}),
              Json::array({"stdout", nullptr}),
              1,
              true,
              object};
    case wire::ParamType::kWaitList:
    case wire::ParamType::kEventList:
      return {"exit", Json::array({"nonsense"}), Json::array({1}), Json::array({"exit", nullptr}), 1, true,
              object};
    case wire::ParamType::kObject:
      return {"text", 1, 0.5, true, list};
    case wire::ParamType::kBytes:
      return {1,
              0.5,
              true,
              list,
              Json{{"base64", 1}},
              Json{{"base64", "!not base64!"}},
              Json{{"base64", "AAAA"}, {"more", 1}},
              object,
              Json::object()};
  }
  return {};
}

Json all_right(const wire::Method& method, Encoding encoding) {
  Json params = Json::object();
  for (const wire::Param& param : method.params) {
    if (param.required) params[std::string(param.name)] = right_value(param, encoding);
  }
  return params;
}

TEST_P(MethodsTest, AreThoseOfTheContract) {
  const std::set<std::string> contract = {"ping",      "methods",     "info",    "apply_meta", "kill",
                                          "pause",     "resume",      "restart", "delete",     "stream_info",
                                          "read",      "output",      "write",   "close",      "wait",
                                          "subscribe", "unsubscribe", "stop"};
  std::set<std::string> table;
  for (const wire::Method& method : wire::methods())
    table.insert(std::string(method.name));
  EXPECT_EQ(table, contract);
  const Json reply = client().result("methods");
  EXPECT_EQ(reply, wire::describe_methods()) << "made from the same table";
  const std::string text = reply.dump();
  for (const wire::Method& method : wire::methods()) {
    EXPECT_NE(text.find("\"" + std::string(method.name) + "\""), std::string::npos) << method.name;
    for (const wire::Param& param : method.params) {
      EXPECT_NE(text.find("\"" + std::string(param.name) + "\""), std::string::npos)
          << method.name << "." << param.name;
    }
  }
}

TEST_P(MethodsTest, TheContractsParametersAreThere) {
  const std::map<std::string, std::set<std::string>> contract = {
      {"apply_meta", {"meta"}},
      {"kill", {"signal", "scope"}},
      {"pause", {"pause"}},
      {"restart", {"force"}},
      {"stop", {"grace", "signal"}},
      {"delete", {"grace", "collect"}},
      {"stream_info", {"stream"}},
      {"read", {"stream", "offset", "count", "peek", "discard"}},
      {"output", {"cursor", "streams", "max_bytes"}},
      {"write", {"stream", "data", "follows"}},  // the last is an addition
      {"close", {"stream", "immediate"}},
      {"wait", {"for", "cursor", "timeout", "status"}},  // likewise
      {"subscribe", {"events", "cursor", "streams"}}};
  for (const wire::Method& method : wire::methods()) {
    std::set<std::string> names;
    for (const wire::Param& param : method.params)
      names.insert(std::string(param.name));
    const auto expected = contract.find(std::string(method.name));
    EXPECT_EQ(names, expected == contract.end() ? std::set<std::string>() : expected->second) << method.name;
  }
}

TEST_P(MethodsTest, AMissingParameterIsNamed) {
  size_t required = 0;
  for (const wire::Method& method : wire::methods()) {
    for (const wire::Param& param : method.params) {
      if (!param.required) continue;
      ++required;
      Json params = all_right(method, GetParam());
      params.erase(std::string(param.name));
      expect_refused(method.name, params, param.name);
    }
  }
  EXPECT_GE(required, 5u) << "meta, data, events and the streams";
  expect_unharmed();
}

TEST_P(MethodsTest, AWrongTypeOrRangeIsNamed) {
  for (const wire::Method& method : wire::methods()) {
    for (const wire::Param& param : method.params) {
      std::vector<Json> wrong = wrong_values(param.type);
      wrong.push_back(nullptr);
      for (const Json& value : wrong) {
        Json params = all_right(method, GetParam());
        params[std::string(param.name)] = value;
        expect_refused(method.name, params, param.name);
      }
    }
  }
  expect_unharmed();
}

TEST_P(MethodsTest, AnUnknownParameterIsNamed) {
  for (const wire::Method& method : wire::methods()) {
    Json params = all_right(method, GetParam());
    params["no_such_parameter"] = 1;
    expect_refused(method.name, params, "no_such_parameter");
  }
  expect_unharmed();
}

TEST_P(MethodsTest, AnUnknownMethodIsSaid) {
  for (const char* method : {"", "no_such_method", "Ping", "ping ", "__class__.kill", "kill.signal"}) {
    const Json reply = client().call(method);
    ASSERT_TRUE(reply.contains("error")) << reply;
    EXPECT_EQ(reply["error"]["code"], -32601) << reply;
  }
  expect_unharmed();
}

TEST_P(MethodsTest, AStreamThatDoesNotFitIsNamed) {
  expect_refused("read", {{"stream", "stdin"}}, "stream");
  expect_refused("write", {{"stream", "stdout"}, {"data", "x"}}, "stream");
  expect_refused("write", {{"stream", "data"}, {"data", "x"}}, "stream");
  expect_refused("close", {{"stream", "stderr"}}, "stream");
  expect_unharmed();
}

TEST_P(MethodsTest, AllHaveAnAnswerWhereTheParametersAreRight) {
  for (const wire::Method& method : wire::methods()) {
    if (method.id == wire::MethodId::kDelete || method.id == wire::MethodId::kWait) continue;
    if (method.id == wire::MethodId::kStop) continue;  // the later methods need a running task
    Json params = all_right(method, GetParam());
    if (method.id == wire::MethodId::kRead) params["stream"] = "stdout";
    if (method.id == wire::MethodId::kKill) params["signal"] = "CONT";
    const Json reply = client().call(method.name, params);
    EXPECT_TRUE(reply.contains("result")) << method.name << reply;
    EXPECT_EQ(reply["jsonrpc"], "2.0");
  }
  EXPECT_EQ(client().result("wait", {{"for", {"exit"}}, {"timeout", 0}})["fired"], "timeout");
  EXPECT_EQ(client().result("delete")["signalled"], 1);
}

INSTANTIATE_TEST_SUITE_P(Encodings, MethodsTest, testing::Values(Encoding::kJson, Encoding::kMsgpack),
                         [](const auto& test) { return encoding_name(test.param); });

}  // namespace
}  // namespace bgtask::e2e
