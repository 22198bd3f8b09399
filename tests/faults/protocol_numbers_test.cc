// Numbers at and beyond every limit, for every parameter of every method: valid ones are accepted, all others
// are bad_argument naming the parameter.
#include <cmath>
#include <limits>

#include "protocol/wire/methods.h"
#include "tests/faults/protocol_fixture.h"

namespace bgtask::faults {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::vector<Json> edges() {
  const auto power = [](int exponent) { return int64_t{1} << exponent; };
  std::vector<Json> values = {0,
                              -1,
                              power(31) - 1,
                              power(31),
                              power(31) + 1,
                              power(32) - 1,
                              power(32),
                              power(53) - 1,
                              power(53),
                              power(53) + 1,
                              std::numeric_limits<int64_t>::max(),
                              uint64_t{1} << 63,
                              std::numeric_limits<uint64_t>::max(),
                              std::numeric_limits<int64_t>::min(),
                              -power(31),
                              -power(53),
                              65,
                              1'000'000'007,
                              1e308,
                              -1e308,
                              5e-324,
                              1.5,
                              -1.5,
                              0.0,
                              -0.0,
                              1.0,
                              3.2e9,
                              3.2e9 + 1,
                              9.3e18,
                              1.9e19,
                              "0",
                              "1",
                              "-1",
                              "1e3",
                              "NaN",
                              "",
                              "0x10",
                              "18446744073709551616"};
  return values;
}

/// Values that only msgpack can express.
std::vector<Json> not_numbers() {
  return {std::nan(""), -std::nan(""), kInfinity, -kInfinity};
}

bool is_number_for(wire::ParamType type, const Json& value) {
  switch (type) {
    case wire::ParamType::kOffset:
      if (!value.is_number_integer()) return false;
      return value.is_number_unsigned()
                 ? value.get<uint64_t>() <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max())
                 : value.get<int64_t>() >= 0;
    case wire::ParamType::kSeconds:
      return value.is_number() && value.get<double>() >= 0 && value.get<double>() <= 3.2e9;
    case wire::ParamType::kStream:
      return value == 0 && value.is_number_integer();
    case wire::ParamType::kBytes:
      return value.is_string();
    default:
      return false;
  }
}

/// The other parameters that the method needs.
Json needed(const wire::Method& method) {
  Json params = Json::object();
  for (const wire::Param& param : method.params) {
    if (!param.required) continue;
    const std::string name(param.name);
    if (param.type == wire::ParamType::kStream) params[name] = method.id == wire::MethodId::kRead ? 1 : 0;
    if (param.type == wire::ParamType::kBytes) params[name] = "x";
    if (param.type == wire::ParamType::kObject) params[name] = Json::object();
    if (param.type == wire::ParamType::kEventList) params[name] = Json::array({"exit"});
  }
  return params;
}

class ProtocolNumbers : public ProtocolFaultTest, public testing::WithParamInterface<Encoding> {
 protected:
  /// One request on its own connection, because a valid wait may not be answered for years.
  void try_value(const wire::Method& method, const wire::Param& param, const Json& value) {
    Json params = needed(method);
    params[std::string(param.name)] = value;
    const bool right = is_number_for(param.type, value);
    if (right && method.id == wire::MethodId::kDelete) return;  // has a case of its own
    if (right && method.id == wire::MethodId::kStop) return;    // later methods need a running task
    if (right && method.id == wire::MethodId::kClose) return;   // the next write would find it closed
    SCOPED_TRACE(std::string(method.name) + " " + params.dump());
    const auto client = connect(GetParam());
    client->request(method.name, params, "tried");
    client->request("ping", Json::object(), "after");
    Json reply;
    Json after;
    while (after.is_null()) {
      const auto message = client->receive();
      ASSERT_TRUE(message.has_value()) << "the connection is still served";
      ((*message)["id"] == "after" ? after : reply) = *message;
    }
    EXPECT_EQ(after["result"], "pong");
    const bool waits = right && method.id == wire::MethodId::kWait && reply.is_null();
    if (waits || (right && reply.contains("result"))) return;
    ASSERT_TRUE(reply.contains("error")) << reply;
    EXPECT_EQ(e2e::error_word(reply), "bad_argument") << reply;
    // A valid stream that this method does not take is refused with the same error.
    if (param.type != wire::ParamType::kStream) {
      EXPECT_FALSE(right) << reply;
    }
    EXPECT_EQ(reply["error"]["data"]["parameter"], std::string(param.name)) << reply;
  }
  void try_all(const std::vector<Json>& values) {
    for (const wire::Method& method : wire::methods()) {
      for (const wire::Param& param : method.params) {
        for (const Json& value : values)
          ASSERT_NO_FATAL_FAILURE(try_value(method, param, value));
      }
      ASSERT_NO_FATAL_FAILURE(expect_served()) << method.name;
    }
  }
};

INSTANTIATE_TEST_SUITE_P(Encodings, ProtocolNumbers, testing::ValuesIn(kEncodings),
                         [](const auto& test) { return e2e::encoding_name(test.param); });

TEST_P(ProtocolNumbers, G9_EdgesOfEveryParameterAreTakenOrNamed) {
  try_all(edges());
  if (GetParam() == Encoding::kMsgpack) try_all(not_numbers());
  EXPECT_EQ(polite().result("info")["runs"], 1);
  expect_nothing_left();
}

using ProtocolNumberTexts = ProtocolFaultTest;

TEST_F(ProtocolNumberTexts, G9_NumbersAsJsonWritesThem) {
  const auto client = connect();
  const auto answer = [&](const std::string& number) {
    client->send(R"({"jsonrpc":"2.0","id":1,"method":"read","params":{"stream":1,"peek":true,"offset":)" +
                 number + "}}\n");
    const Json reply = client->receive().value_or(Json::object());
    if (reply.contains("result")) return std::string("result");
    const std::string word = e2e::error_word(reply);
    return word.empty() ? reply["error"]["code"].dump() : word;
  };
  for (const char* right : {"0", "-0", "9223372036854775807"})
    EXPECT_EQ(answer(right), "result") << right;
  for (const char* wrong :
       {"9223372036854775808", "18446744073709551615", "18446744073709551616", "1e0", "1E2", "0.0", "-1",
        "-9223372036854775808", "-9223372036854775809", "1e308", "4.9e-324", "\"1\"", "null", "true"})
    EXPECT_EQ(answer(wrong), "bad_argument") << wrong;
  const std::string long_number(10'000, '9');
  for (const std::string& no_json : {std::string("NaN"), std::string("Infinity"), std::string("-inf"),
                                     std::string("1e400"), std::string("01"), std::string("+1"),
                                     std::string("0x10"), std::string(".5"), std::string("1."), long_number})
    EXPECT_EQ(answer(no_json), "-32700") << no_json;
  EXPECT_EQ(answer("0." + long_number), "bad_argument");
  EXPECT_EQ(client->result("ping"), "pong");
}

TEST_F(ProtocolNumberTexts, G6_G9_DeleteTakesEveryGraceThereIs) {
  // The child ends at the first TERM, so the longest grace is over at once.
  for (const Json& grace :
       {Json(0), Json(-0.0), Json(5e-324), Json(0.5), Json(3.2e9), Json((int64_t{1} << 31) + 1)}) {
    Task ending = awkward({"sleep"});
    RawClient client(socket_of(ending));
    const Json reply = client.result("delete", {{"grace", grace}});
    EXPECT_EQ(reply["signalled"], 1) << grace << reply;
    EXPECT_EQ(reply["survivors"], Json::array()) << grace;
    EXPECT_TRUE(eventually([&] { return e2e::gone(ending.pid()); }));
  }
}

}  // namespace
}  // namespace bgtask::faults
