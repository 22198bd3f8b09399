// Invalid signals are refused by name on every path, and no process is signalled.
#include <csignal>

#include "tests/faults/fault_test.h"

namespace bgtask::faults {
namespace {

/// A child that ends on every signal that can be caught.
class SignalArguments : public FaultTest {
 protected:
  void SetUp() override {
    FaultTest::SetUp();
    task_.emplace(awkward({"sleep"}));
    child_ = child_of(*task_);
  }
  void TearDown() override {
    if (task_) {
      EXPECT_EQ(child_of(*task_), child_);
      EXPECT_EQ(task_->info(true)["status"]["state"], "running") << "something was sent";
      EXPECT_EQ(task_->info()["runs"], 1);
      task_.reset();
    }
    FaultTest::TearDown();
  }
  Task& task() { return *task_; }

  static std::vector<Json> no_numbers() {
    return {0,
            -1,
            -9,
            65,
            127,
            int64_t{1} << 31,
            -(int64_t{1} << 31),
            (int64_t{1} << 32) + 9,
            (uint64_t{1} << 63),
            (uint64_t{1} << 63) + 9,
            INT64_MIN,
            UINT64_MAX,
            9.0,
            9.5,
            1e300,
            nullptr,
            true,
            Json::array(),
            Json::array({9}),
            Json::object(),
            Json{{"number", 9}}};
  }
  static std::vector<std::string> no_names() {
    return {"",
            "SIG",
            "NOSUCH",
            "SIGNOSUCH",
            "SIGSIGTERM",
            "0",
            "9",
            "-9",
            "65",
            " TERM",
            "TERM ",
            "TERM\n",
            "TERM,INT",
            "RTMIN+31",
            "RTMIN-1",
            "RTMAX+1",
            "RTMAX-31",
            "RTMIN+",
            "RTMIN+-1",
            "RTMIN+ 1",
            "RTMIN+1x",
            "RTMIN++1",
            "RTMIN+99999999999999999999",
            "ＴＥＲＭ",
            "TËRM",
            "ſigterm",
            "\u0130NT",
            "\U0001F480",
            "\u202ETERM",
            "\x1b[31m",
            "%s%n",
            "../../TERM",
            "SIGTERM\x7f",
            std::string("TERM\0", 5),
            std::string(10'000, 'T')};
  }

 private:
  std::optional<Task> task_;
  pid_t child_ = 0;
};

class SignalArgumentsOnTheWire : public SignalArguments, public testing::WithParamInterface<e2e::Encoding> {};

TEST_P(SignalArgumentsOnTheWire, G5_G9_AreRefusedByName) {
  std::vector<Json> wrong = no_numbers();
  for (const std::string& name : no_names())
    wrong.push_back(name);
  e2e::RawClient client(socket_of(task()), GetParam());
  for (const Json& signal : wrong) {
    for (const char* scope : {"process", "group", "tree"}) {
      const Json reply = client.call("kill", {{"signal", signal}, {"scope", scope}});
      ASSERT_EQ(e2e::error_word(reply), "bad_argument") << signal.dump();
      EXPECT_EQ(reply["error"]["code"], -32000);
      EXPECT_EQ(reply["error"]["data"]["parameter"], "signal") << signal.dump();
      EXPECT_NE(reply["error"]["message"].get<std::string>().find("signal"), std::string::npos);
    }
  }
  EXPECT_EQ(client.result("ping"), "pong") << "the connection stays";
}

INSTANTIATE_TEST_SUITE_P(Encodings, SignalArgumentsOnTheWire,
                         testing::Values(e2e::Encoding::kJson, e2e::Encoding::kMsgpack),
                         [](const auto& test) { return e2e::encoding_name(test.param); });

TEST_F(SignalArguments, G5_G9_TheLibraryRefusesThemByName) {
  const auto expect_refused = [this](const Signal& signal) {
    for (Scope scope : {Scope::kProcess, Scope::kGroup, Scope::kTree}) {
      const Error error = e2e::error_of([&] { task().kill(signal, scope); });
      EXPECT_EQ(error.code(), "bad_argument") << error.what();
      EXPECT_EQ(error.data().value("parameter", ""), "signal") << error.what();
      EXPECT_FALSE(error.retryable());
    }
  };
  for (int number : {0, -1, -9, 65, 127, INT32_MIN, INT32_MAX})
    expect_refused(number);
  for (const std::string& name : no_names())
    expect_refused(name);
}

TEST_F(SignalArguments, G5_TheCommandLineRefusesThemBeforeAnythingIsAsked) {
  std::vector<std::string> wrong = {"-1", "2147483648", "9223372036854775808", "18446744073709551615", "9.0"};
  for (const std::string& name : no_names()) {
    const bool number = name == "9";  // on a command line every number is text
    if (!number && name.find('\0') == std::string::npos) wrong.push_back(name);
  }
  wrong.insert(wrong.end(), {"00", "009"});
  const std::string pid = std::to_string(task().pid());
  for (const std::string& signal : wrong) {
    const e2e::ProgramResult result = bgtask({"kill", "--signal=" + signal, pid});
    EXPECT_EQ(result.status, 125) << signal << result.err;
    EXPECT_NE(result.err.find("signal"), std::string::npos) << signal << ": " << result.err;
    EXPECT_EQ(result.err.find('\x1b'), std::string::npos) << "it is shown, not obeyed";
    EXPECT_EQ(result.out, "");
  }
  for (const char* option : {"-0", "-65", "-99999999999", "-NOSUCH", "-SIGSIGTERM", "-SIG"})
    EXPECT_EQ(bgtask({"kill", option, pid}).status, 125) << option;
}

}  // namespace
}  // namespace bgtask::faults
