// The same valid and invalid requests in both encodings to two similar tasks get the same replies.
#include <limits>
#include <random>

#include "protocol/wire/methods.h"
#include "tests/faults/protocol_fixture.h"

namespace bgtask::faults {
namespace {

using Random = std::mt19937;

/// A value of a random type, valid for some parameter or for none.
Json any_value(Random& random) {
  static const std::vector<Json> kValues = {0,
                                            1,
                                            2,
                                            3,
                                            7,
                                            64,
                                            65,
                                            -1,
                                            1'000'000,
                                            int64_t{1} << 53,
                                            std::numeric_limits<int64_t>::max(),
                                            std::numeric_limits<int64_t>::min(),
                                            uint64_t{1} << 63,
                                            std::numeric_limits<uint64_t>::max(),
                                            0.0,
                                            0.5,
                                            -0.5,
                                            1.0,
                                            1e300,
                                            true,
                                            false,
                                            nullptr,
                                            "",
                                            "stdin",
                                            "stdout",
                                            "stderr",
                                            "data",
                                            "CONT",
                                            "SIGCONT",
                                            "RTMIN+40",
                                            "process",
                                            "group",
                                            "tree",
                                            "exit",
                                            "gr\xc3\xbcn \x01\x1b",
                                            Json::array(),
                                            Json::array({"stdout"}),
                                            Json::array({"exit"}),
                                            Json::array({"eof", "output"}),
                                            Json::array({"meta", "exit"}),
                                            Json::array({1, nullptr}),
                                            Json::object(),
                                            Json{{"key", {{"deep", {1, 2.5}}}}},
                                            Json{{"key", nullptr}},
                                            Json{{"base64", "AP8="}},
                                            Json{{"base64", "?"}}};
  return kValues[random() % kValues.size()];
}

/// Mostly a valid value.
Json value_for(const wire::Param& param, Random& random) {
  if (random() % 4 == 0) return any_value(random);
  const auto one_of = [&](std::vector<Json> values) { return values[random() % values.size()]; };
  switch (param.type) {
    case wire::ParamType::kBoolean:
      return random() % 2 == 0;
    case wire::ParamType::kOffset:
      return random() % 40;
    case wire::ParamType::kSeconds:
      return 0;
    case wire::ParamType::kSignal:
      return one_of({"CONT", "SIGCONT", 18, "cont"});
    case wire::ParamType::kScope:
      return one_of({"process", "group", "tree"});
    case wire::ParamType::kStream:
      return one_of({0, 1, 2, "stdin", "stdout", "stderr", "data"});
    case wire::ParamType::kStreamList:
      return one_of({Json::array({"stdout"}), Json::array({"data", "stderr"})});
    case wire::ParamType::kWaitList:
      return one_of({Json::array({"exit"}), Json::array({"output", "eof"})});
    case wire::ParamType::kEventList:
      return one_of({Json::array({"exit"}), Json::array({"stream", "exit"})});
    case wire::ParamType::kObject:
      return Json{{"key" + std::to_string(random() % 3), any_value(random)}};
    case wire::ParamType::kBytes:
      return one_of({"text", Json{{"base64", "AP/+"}}, ""});
  }
  return nullptr;
}

Json random_request(Random& random) {
  const auto methods = wire::methods();
  const wire::Method& method = methods[random() % methods.size()];
  Json params = Json::object();
  for (const wire::Param& param : method.params) {
    if (param.required ? random() % 16 != 0 : random() % 2 == 0)
      params[std::string(param.name)] = value_for(param, random);
  }
  if (random() % 32 == 0) params["unknown \x1b"] = 1;
  // Must not end the task or its child, nor wait for ever; `meta` events would arrive at any time.
  if (method.id == wire::MethodId::kDelete || method.id == wire::MethodId::kStop) params["grace"] = "never";
  if (method.id == wire::MethodId::kKill && !params.contains("signal")) params["signal"] = "CONT";
  if (method.id == wire::MethodId::kKill && params["signal"].is_number()) params["signal"] = 18;
  if (method.id == wire::MethodId::kPause && params.value("pause", Json(true)) == true)
    params["pause"] = false;
  if (method.id == wire::MethodId::kWait) params["timeout"] = random() % 8 == 0 ? any_value(random) : Json(0);
  if (method.id == wire::MethodId::kWait && params["timeout"].is_number() && params["timeout"] > 0)
    params["timeout"] = 0;
  if (method.id == wire::MethodId::kSubscribe)
    params["events"] = random() % 2 == 0 ? Json::array({"exit"}) : any_value(random);
  Json request = {{"jsonrpc", "2.0"},
                  {"id", random() % 8 == 0 ? any_value(random) : Json(random() % 1000)},
                  {"method", std::string(method.name)},
                  {"params", params}};
  switch (random() % 32) {
    case 0:
      request["method"] = any_value(random);
      break;
    case 1:
      request["params"] = Json::array();
      break;
    case 2:
      request["jsonrpc"] = any_value(random);
      break;
    case 3:
      request.erase("jsonrpc");
      break;
    default:
      break;
  }
  return request;
}

/// Removes from a reply what differs between tasks and between encodings of bytes.
Json comparable(const Json& reply) {
  if (reply.is_binary()) return e2e::bytes_of(reply);
  if (reply.is_object() && reply.size() == 1 && reply.contains("base64")) return e2e::bytes_of(reply);
  Json result = reply;
  if (!reply.is_structured()) return result;
  for (auto& [key, value] : result.items()) {
    const bool differs =
        key == "pid" || key == "child_pid" || key == "time" || key == "started_at" || key == "rusage";
    value = differs ? Json(key) : comparable(value);
  }
  return result;
}

std::string printable(const Json& reply) {
  return reply.dump(-1, ' ', true, Json::error_handler_t::replace);
}

using ProtocolDifferential = FaultTest;

TEST_F(ProtocolDifferential, G9_BothEncodingsGiveTheSameReplies) {
  const unsigned used_seed = seed();
  Random random(used_seed);
  const std::string printing = "printf 'text\\n\\377\\376 bytes'; exec sleep 1000";
  Task by_json = shell(printing);
  Task by_msgpack = shell(printing);
  for (Task* task : {&by_json, &by_msgpack})
    ASSERT_TRUE(wait_limit(*task, "stdout", 13));
  RawClient json(socket_of(by_json), Encoding::kJson);
  RawClient msgpack(socket_of(by_msgpack), Encoding::kMsgpack);
  const int total = scaled(5'000, 200'000);
  int results = 0;
  for (int i = 0; i < total; ++i) {
    const Json request = random_request(random);
    SCOPED_TRACE("BGTASK_SEED=" + std::to_string(used_seed) + " request " + std::to_string(i) + ": " +
                 request.dump());
    ASSERT_TRUE(json.send(json.encode(request)) && msgpack.send(msgpack.encode(request)));
    const auto one = json.receive();
    const auto other = msgpack.receive();
    ASSERT_TRUE(one.has_value() && other.has_value());
    // Not ASSERT_EQ, which cannot print bytes that are not UTF-8.
    ASSERT_TRUE(comparable(*one) == comparable(*other)) << printable(*one) << "\n" << printable(*other);
    results += one->contains("result") ? 1 : 0;
  }
  EXPECT_GT(results, total / 4) << "enough of the requests are right";
  EXPECT_LT(results, total * 3 / 4) << "and enough are wrong";
}

}  // namespace
}  // namespace bgtask::faults
