// Everything a task wrote is shown by `logs`, or said to be gone, or said to have been read: once, and
// exactly.
#include <sys/types.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <regex>
#include <sstream>

#include "cli/output_format.h"
#include "tests/cli/program_fixture.h"

namespace bgtask::cli {
namespace {

using Clock = std::chrono::steady_clock;

class WholeOutputTest : public ProgramTest {
 protected:
  /// A command line of the shell in which "$bgtask" is the program; its exit status and output.
  ProgramResult shell(const std::string& script) const {
    const std::string file = pool_ + ".out";
    const std::string line = "BGTASK_POOL=" + pool_ + " BGTASK_SUPERVISOR=" + BGTASK_SUPERVISOR +
                             " bgtask=" + BGTASK_PROGRAM + " bash -c '" + script + "' >" + file + " 2>&1";
    ProgramResult result;
    const int status = std::system(line.c_str());
    result.status = WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
    std::stringstream text;
    text << std::ifstream(file).rdbuf();
    result.out = text.str();
    return result;
  }
  /// A task that writes so many bytes one by one, in a ring that holds them all; it has ended.
  std::string bytes_one_by_one(int count) const {
    const std::string pid =
        run({"-c", "head -c " + std::to_string(count) + " /dev/zero | tr '\\0' x | dd bs=1 2>/dev/null"});
    EXPECT_EQ(wait(pid), 0);
    return pid;
  }
};

std::uint64_t sum_of(const std::string& text, const std::string& what) {
  const std::regex line("(\\d+) bytes? of std(?:out|err) (?:is|are|has|have)[a-z ]* " + what);
  std::uint64_t sum = 0;
  for (std::sregex_iterator i(text.begin(), text.end(), line), end; i != end; ++i)
    sum += std::stoull((*i)[1]);
  return sum;
}

// The index of records is shorter than the ring then.
TEST_F(WholeOutputTest, ManySmallWritesAreShownWhole) {
  constexpr int kBytes = 1'000'000;
  const std::string pid = bytes_one_by_one(kBytes);
  for (const std::vector<std::string>& how : {std::vector<std::string>{}, {"-f"}, {"-n", "all"}}) {
    std::vector<std::string> arguments = {"logs", pid};
    arguments.insert(arguments.end(), how.begin(), how.end());
    const ProgramResult logs = bgtask(arguments);
    EXPECT_TRUE(logs.out == std::string(kBytes, 'x')) << logs.out.size();
    EXPECT_EQ(logs.err, "");
  }
  const Json document = Json::parse(bgtask({"logs", "-o", "json", pid}).out);
  EXPECT_EQ(document.at("lost").at("stdout"), 0);
  EXPECT_TRUE(document.at("chunks").back().at("time").is_number());
  const auto after = document.at("chunks").at(0).at("seq").get<std::uint64_t>() + 1;
  const std::size_t given = document.at("chunks").at(0).at("data").get<std::string>().size();
  EXPECT_EQ(bgtask({"logs", "--after", std::to_string(after), pid}).out.size(), kBytes - given);
  // On a busy machine many of them may have come in one piece, and have their time.
  if (document.at("chunks").at(0).at("time").is_null()) {
    EXPECT_TRUE(bgtask({"logs", "-t", pid}).out == "- " + std::string(kBytes, 'x') + "\n");
  }
  EXPECT_EQ(bgtask({"logs", "--since", "1h", pid}).out.size(), std::size_t{kBytes});
}

TEST_F(WholeOutputTest, ACursorFileGoesOnWhereTheIndexHasForgotten) {
  const std::string file = pool_ + ".cursor";
  const std::string pid =
      run({"-i", "--buffer", "64K", "-c",
           "echo begin; read x; head -c 50000 /dev/zero | tr '\\0' x | dd bs=1 2>/dev/null"});
  ASSERT_EQ(bgtask({"wait", "--for", "output", "--timeout", "30", pid}).status, 0);
  EXPECT_EQ(bgtask({"logs", "--cursor-file", file, pid}).out, "begin\n");
  ASSERT_EQ(bgtask({"send", pid, "go"}).status, 0);
  EXPECT_EQ(wait(pid), 0);
  const ProgramResult rest = bgtask({"logs", "--cursor-file", file, pid});
  EXPECT_EQ(rest.out, std::string(50'000, 'x'));
  EXPECT_EQ(rest.err, "");
  EXPECT_EQ(bgtask({"logs", "--cursor-file", file, pid}).out, "");
  std::filesystem::remove(file);
}

TEST_F(WholeOutputTest, WhatAReadTookIsNotSaidToBeGone) {
  const std::string pid = run({"printf", "one\\ntwo\\nthree\\n"});
  EXPECT_EQ(wait(pid), 0);
  EXPECT_EQ(bgtask({"read", "--count", "4", pid}).out, "one\n");
  const ProgramResult logs = bgtask({"logs", pid});
  EXPECT_EQ(logs.out, "two\nthree\n");
  EXPECT_EQ(logs.err, "bgtask: 4 bytes of stdout have been read already\n");
  EXPECT_EQ(bgtask({"read", "--peek", "--offset", "0", "--count", "6", pid}).err, logs.err);
  EXPECT_EQ(bgtask({"logs", "--bytes", "0:6", pid}).err, logs.err);
}

TEST_F(WholeOutputTest, EveryFollowerOfAFloodAccountsForEachByteOnce) {
  constexpr std::uint64_t kBytes = 30'000'000;
  for (int round = 0; round < 3; ++round) {
    const std::string pid =
        run({"--buffer", "64K", "-c",
             "for i in 1 2 3; do head -c 10000000 /dev/zero; sleep 0.05; done | tr '\\0' x"});
    std::vector<std::future<ProgramResult>> followers;
    for (int i = 0; i < 4; ++i)
      followers.push_back(std::async(std::launch::async, [&] { return bgtask({"logs", "-f", pid}); }));
    for (auto& follower : followers) {
      const ProgramResult result = follower.get();
      EXPECT_EQ(result.status, 0);
      EXPECT_EQ(result.out.size() + sum_of(result.err, "gone"), kBytes) << result.err;
    }
  }
}

TEST_F(WholeOutputTest, AFollowerWhoseReaderLeavesEndsWhileTheTaskIsSilent) {
  const std::string pid = run({"-c", "echo ready; exec sleep 600"});
  ASSERT_EQ(bgtask({"wait", "--for", "output", "--timeout", "30", pid}).status, 0);
  const std::string status = "; echo \"status ${PIPESTATUS[0]}\"";
  EXPECT_EQ(shell("timeout 20 $bgtask logs -f " + pid + " | head -1" + status).out, "ready\nstatus 141\n");
  EXPECT_EQ(shell("timeout 20 $bgtask logs -f " + pid + " | grep -m1 ready" + status).out,
            "ready\nstatus 141\n");
  const ProgramResult run =
      shell("timeout 20 $bgtask run -f -c \"echo one; exec sleep 600\" | head -1" + status);
  EXPECT_NE(run.out.find("one\n"), std::string::npos) << run.out;
  EXPECT_NE(run.out.find("status 141\n"), std::string::npos) << run.out;
}

TEST_F(WholeOutputTest, AFollowerIntoAFileIsNotMistakenForOneWithoutAReader) {
  const std::string pid = run({"-i", "cat"});
  const std::string file = pool_ + ".followed";
  auto follower = std::async(std::launch::async,
                             [&] { return shell("timeout 30 $bgtask logs -f " + pid + " >" + file); });
  ASSERT_EQ(bgtask({"send", "--close", pid, "late"}).status, 0);
  EXPECT_EQ(follower.get().status, 0);
  std::stringstream text;
  text << std::ifstream(file).rdbuf();
  EXPECT_EQ(text.str(), "late\n");
}

TEST_F(WholeOutputTest, TheLastLineIsOneLineWithoutItsNewline) {
  const std::string pid = run({"printf", "one\\ntwo\\nthree"});
  EXPECT_EQ(wait(pid), 0);
  const std::string last = bgtask({"logs", "-t", "-n", "1", pid}).out;
  EXPECT_EQ(last.substr(29), " three\n") << last;
  EXPECT_EQ(bgtask({"logs", "-t", "-f", "-n", "1", pid}).out, last);
  const std::string two = bgtask({"logs", "-t", "-n", "2", pid}).out;
  EXPECT_EQ(std::count(two.begin(), two.end(), '\n'), 2) << two;
  EXPECT_NE(two.find(" two\n"), std::string::npos) << two;
}

TEST_F(WholeOutputTest, WhatATaskMayHaveWrittenWithoutASupervisorIsTold) {
  const std::string pid = run({"-c", "echo $$; exec sleep 600"});
  ASSERT_EQ(bgtask({"wait", "--for", "output", "--timeout", "30", pid}).status, 0);
  const std::string child = bgtask({"logs", pid}).out;
  ASSERT_EQ(::kill(std::stoi(pid), SIGKILL), 0);
  ASSERT_EQ(::kill(std::stoi(child), SIGKILL), 0);
  const std::string gap =
      "bgtask: more of stdout, stderr may be missing: the task ran on for a time after its supervisor had "
      "died\n";
  ProgramResult logs;
  for (const auto end = Clock::now() + std::chrono::seconds(20); Clock::now() < end && logs.err.empty();)
    logs = bgtask({"logs", pid});
  EXPECT_EQ(logs.out, child);
  EXPECT_EQ(logs.err, gap);
  EXPECT_EQ(bgtask({"logs", "-f", pid}).err, gap);
  EXPECT_NE(bgtask({"read", pid}).err.find("more of stdout may be missing"), std::string::npos);
}

}  // namespace
}  // namespace bgtask::cli
