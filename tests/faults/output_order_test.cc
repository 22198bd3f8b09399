// Order of events for a follower: last byte of a stream, end of the stream, exit.
#include <algorithm>
#include <fstream>
#include <random>

#include "tests/e2e/pattern.h"
#include "tests/faults/fault_test.h"

namespace bgtask::faults {
namespace {

/// Output of a run, as produced by the child or as seen by a follower.
struct Seen {
  std::map<std::string, std::string> output;
  std::vector<std::string> ended;  ///< streams, in order
  std::optional<int> exit_code;
  bool operator==(const Seen&) const = default;
};

class OutputOrder : public FaultTest {
 protected:
  /// Commands that make the puppet write to every stream and end it, and the expected output.
  std::string some_commands(Seen& expected) {
    const auto word = [this] { return std::string(random_() % 3 == 0 ? 30'000 : random_() % 100, 'w'); };
    std::string commands;
    for (unsigned i = random_() % 5; i > 0; --i) {
      const std::string text = word();
      switch (random_() % 4) {
        case 0:
          commands += "err " + text + "\n";
          expected.output["stderr"] += text + "\n";
          break;
        case 1:
          commands += "data " + text + "\n";
          expected.output["data"] += text;
          break;
        case 2:
          commands += "out " + text + "\n";
          expected.output["stdout"] += text + "\n";
          break;
        default: {
          const unsigned size = 1 + random_() % (random_() % 8 == 0 ? 400'000 : 5'000);
          commands += "pattern 17 " + std::to_string(size) + "\n";
          expected.output["stdout"] += e2e::pattern(17, size);
        }
      }
    }
    expected.exit_code = static_cast<int>(random_() % 100);
    return commands + "exit " + std::to_string(*expected.exit_code) + "\n";
  }
  /// Reads events until the exit and the ends of all streams, and checks their order.
  static Seen follow(e2e::RawClient& client, const Seen& expected) {
    Seen seen;
    while (!seen.exit_code || seen.ended.size() < 3) {
      const auto message = client.receive();
      if (!message) {
        ADD_FAILURE() << "no more events after " << seen.ended.size() << " ends";
        break;
      }
      const Json& params = (*message)["params"];
      const std::string event = params["event"];
      if (event == "output") {
        EXPECT_FALSE(seen.exit_code) << "output after the exit";
        for (const Json& chunk : params["chunks"]) {
          const std::string stream = chunk["stream"];
          EXPECT_EQ(std::count(seen.ended.begin(), seen.ended.end(), stream), 0) << "output after its end";
          seen.output[stream] += e2e::bytes_of(chunk["data"]);
        }
        EXPECT_EQ(params["lost"], (Json{{"stdout", 0}, {"stderr", 0}, {"data", 0}}));
      } else if (event == "stream") {
        const std::string stream = params["stream"];
        EXPECT_EQ(params["eof"], true);
        EXPECT_EQ(params["error"], nullptr);
        seen.ended.push_back(stream);
        EXPECT_TRUE(seen.output[stream] == output_of(expected, stream))
            << "the end of " << stream << " before its last byte";
      } else {
        EXPECT_EQ(event, "exit");
        EXPECT_FALSE(seen.exit_code) << "the exit is told once";
        seen.exit_code = params["status"]["exit_code"].get<int>();
        for (const char* stream : {"stdout", "stderr", "data"})
          EXPECT_TRUE(seen.output[stream] == output_of(expected, stream))
              << "the exit before the last byte of " << stream;
      }
    }
    return seen;
  }
  static std::string output_of(const Seen& seen, const std::string& stream) {
    const auto found = seen.output.find(stream);
    return found == seen.output.end() ? "" : found->second;
  }

  std::mt19937 random_{seed()};
};

const Json kEverything = {{"events", {"output", "exit", "stream"}}};

TEST_F(OutputOrder, G4_FollowersLearnOfTheExitAfterTheLastByteAlways) {
  Task task = awkward({"puppet"});
  std::vector<std::unique_ptr<e2e::RawClient>> followers;
  for (e2e::Encoding encoding : {e2e::Encoding::kJson, e2e::Encoding::kMsgpack}) {
    followers.push_back(std::make_unique<e2e::RawClient>(socket_of(task), encoding));
    followers.back()->result("subscribe", kEverything);
  }
  e2e::RawClient waiter(socket_of(task));
  uint64_t produced = 0;
  for (int round = 0; round < scaled(200, 4'000); ++round) {
    SCOPED_TRACE("seed " + std::to_string(seed()) + " round " + std::to_string(round));
    Seen expected;
    const std::string commands = some_commands(expected);
    produced += output_of(expected, "stdout").size();
    // In some rounds the followers read live; in the others everything is there already.
    const bool late = random_() % 2 == 0;
    task.stream("stdin").write_all(commands);
    if (late) {
      ASSERT_EQ(waiter.result("wait", {{"for", {"exit"}}, {"timeout", 60}})["fired"], "exit");
      ASSERT_EQ(waiter.result("stream_info", {{"stream", "stdout"}})["limit"], produced)
          << "a waiter is told after the last byte too";
    }
    for (const auto& follower : followers) {
      const Seen seen = follow(*follower, expected);
      ASSERT_EQ(seen.exit_code, expected.exit_code);
    }
    ASSERT_FALSE(HasFailure());
    task.stream("stdout").discard();
    ASSERT_TRUE(task.restart());
  }
}

TEST_F(OutputOrder, G4_ADescendantThatHoldsAStreamDelaysItsEndAndNotTheExit) {
  const std::filesystem::path gate = make_fifo("gate");
  Task task = awkward({"hold", gate.string(), "7"});
  e2e::RawClient follower(socket_of(task));
  follower.result("subscribe", {{"events", {"output", "exit", "stream"}}, {"cursor", 0}});
  for (int round = 0; round < scaled(30, 500); ++round) {
    std::vector<std::string> events;
    const auto listen_until = [&](const std::string& last) {
      while (events.empty() || events.back() != last) {
        const auto message = follower.receive();
        ASSERT_TRUE(message.has_value()) << testing::PrintToString(events);
        const Json& params = (*message)["params"];
        if (params["event"] != "output") {
          events.push_back(params["event"].get<std::string>() +
                           (params.contains("stream") ? " " + params["stream"].get<std::string>() : ""));
          continue;
        }
        for (const Json& chunk : params["chunks"])
          events.push_back(e2e::bytes_of(chunk["data"]));
      }
    };
    ASSERT_NO_FATAL_FAILURE(listen_until("exit"));
    EXPECT_EQ(events, (std::vector<std::string>{"early\n", "exit"})) << "round " << round;
    std::ofstream(gate) << "go";
    events.clear();
    std::map<std::string, bool> ended;
    while (ended.size() < 3) {
      const auto message = follower.receive();
      ASSERT_TRUE(message.has_value());
      const Json& params = (*message)["params"];
      if (params["event"] == "stream") {
        ended[params["stream"]] = true;
      } else {
        ASSERT_EQ(params["event"], "output");
        EXPECT_EQ(ended.count("stdout"), 0u) << "output after the end";
        for (const Json& chunk : params["chunks"])
          events.push_back(e2e::bytes_of(chunk["data"]));
      }
    }
    EXPECT_EQ(events, std::vector<std::string>{"late\n"});
    ASSERT_TRUE(task.restart({.force = true}));
  }
}

TEST_F(OutputOrder, G2_G4_TheCommandLineAndTheLibraryFollowToTheLastByte) {
  for (int round = 0; round < scaled(15, 200); ++round) {
    SCOPED_TRACE("seed " + std::to_string(seed()) + " round " + std::to_string(round));
    Seen expected;
    const std::string commands = some_commands(expected);
    Task task = awkward({"puppet"});
    // They start at a random time: before, during or after the output.
    task.stream("stdin").write_all(commands);
    const e2e::ProgramResult printed =
        bgtask({"logs", "-f", "--raw", "--stream", "out", std::to_string(task.pid())});
    EXPECT_EQ(printed.status, 0) << printed.err;
    EXPECT_TRUE(printed.out == output_of(expected, "stdout"));
    Seen seen;
    Task(task.pid(), pool().path()).follow([&](const Output& output) {
      for (const OutputChunk& chunk : output.chunks)
        seen.output[chunk.stream] += chunk.data;
      return true;
    });
    for (const char* stream : {"stdout", "stderr", "data"})
      EXPECT_TRUE(output_of(seen, stream) == output_of(expected, stream)) << stream;
    EXPECT_EQ(wait_exit(task)["exit_code"], *expected.exit_code);
    task.remove();
  }
}

}  // namespace
}  // namespace bgtask::faults
