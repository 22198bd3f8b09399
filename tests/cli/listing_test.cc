// `ls`, `info` and `clean` on real tasks.
#include <gtest/gtest.h>

#include <bgtask/json.h>

#include <chrono>
#include <csignal>
#include <functional>
#include <sstream>
#include <thread>

#include "cli/text_width.h"
#include "tests/cli/program_fixture.h"

namespace bgtask::cli {
namespace {

using Words = std::vector<std::string>;

class ListingTest : public ProgramTest {
 protected:
  Json info(const std::string& task) const { return Json::parse(bgtask({"info", task}).out); }
  std::string ended(Words arguments) const {
    const std::string pid = run(std::move(arguments));
    wait(pid);
    return pid;
  }
  std::string pids(Words arguments) const {
    arguments.insert(arguments.begin(), {"ls", "-q"});
    return bgtask(arguments).out;
  }
  std::string state_column(const std::string& pid) const {
    std::istringstream row(bgtask({"ls", "--no-header", pid}).out);
    std::string id, name, state;
    row >> id >> name >> state;
    return state;
  }
  static void until(const std::function<bool()>& condition) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!condition()) {
      ASSERT_LT(std::chrono::steady_clock::now(), deadline);
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  }
};

TEST_F(ListingTest, ATaskWhoseDescendantsLiveIsShownAndKeptByClean) {
  const std::string pid = ended({"-c", "setsid sleep 1000 & sleep 1001 & echo started"});
  EXPECT_EQ(state_column(pid), "exited+2");
  EXPECT_EQ(info(pid).at("descendants"), 2);
  const auto kept = bgtask({"clean"});
  EXPECT_EQ(kept.status, 0);
  EXPECT_EQ(kept.out, "");
  EXPECT_EQ(kept.err, "bgtask: " + pid + " has exited, but 2 processes of it still run: kept\n");
  EXPECT_EQ(info(pid).at("descendants"), 2) << "clean ends nothing";
  ASSERT_EQ(bgtask({"stop", pid}).status, 0);
  until([&] { return state_column(pid) == "exited"; });
  EXPECT_EQ(bgtask({"clean"}).out, pid + "\n");
}

TEST_F(ListingTest, ATaskThatWasStartedInsideAnEndedOneIsNoDescendant) {
  const std::string outer = ended({"-c", std::string(BGTASK_PROGRAM) + " run sleep 1000"});
  EXPECT_EQ(state_column(outer), "exited");
  EXPECT_EQ(bgtask({"clean"}).out, outer + "\n");
}

TEST_F(ListingTest, WhatALostTaskLeftBehindIsSeenByCleanAndGc) {
  const std::string pid = ended({"-c", "setsid sleep 1000 & echo $!"});
  const pid_t left = std::stoi(bgtask({"logs", pid}).out);
  ASSERT_EQ(::kill(std::stoi(pid), SIGKILL), 0);
  until([&] { return state_column(pid) == "lost+1"; });
  EXPECT_EQ(bgtask({"clean"}).out, "");
  EXPECT_EQ(bgtask({"gc"}).out, "");
  const std::string adopted = bgtask({"adopt", pid}).out;
  ASSERT_FALSE(adopted.empty());
  EXPECT_EQ(state_column(pid), "exited+1") << "the adopter is not its parent";
  EXPECT_EQ(bgtask({"clean"}).out, "");
  ASSERT_EQ(::kill(left, SIGKILL), 0);
  until([&] { return state_column(pid) == "exited"; });
  EXPECT_EQ(bgtask({"clean"}).out, adopted);
}

TEST_F(ListingTest, FailedTasksAreAState) {
  const std::string good = ended({"true"});
  const std::string bad = ended({"-c", "exit 3"});
  const std::string killed = ended({"-c", "kill -9 $$"});
  const std::string running = run({"sleep", "1000"});
  EXPECT_EQ(pids({"--failed"}), bad + "\n" + killed + "\n");
  EXPECT_EQ(pids({"--state", "failed,running"}), bad + "\n" + killed + "\n" + running + "\n");
  EXPECT_EQ(pids({"--where", "status.exit_code!=0"}), bad + "\n") << "null is no code";
  EXPECT_EQ(pids({"--where", "status.exit_code=null"}), killed + "\n" + running + "\n");
  EXPECT_EQ(pids({"--where", "status.exit_code!=null"}), good + "\n" + bad + "\n");
}

TEST_F(ListingTest, ANameThatIsNotUtf8IsSelectedByWhatIsPrinted) {
  const std::string pid = run({"-n", "n\xff\tx", "sleep", "1000"});
  EXPECT_EQ(bgtask({"ls", "-o", "name"}).out, "n\\xff\\tx\n");
  EXPECT_NE(bgtask({"ls"}).out.find("n\\xff\\tx"), std::string::npos);
  for (const char* word : {"n\\xff\\tx", "n\xff\tx"}) {
    EXPECT_EQ(pids({word}), pid + "\n") << word;
    EXPECT_EQ(pids({"-l", "name=" + std::string(word)}), pid + "\n") << word;
  }
  const std::string other = run({"-n", "n\\xff\\tx", "sleep", "1000"});
  EXPECT_EQ(pids({"n\\xff\\tx"}), other + "\n") << "a name as it is comes first";
}

TEST_F(ListingTest, ACommandThatIsNotUtf8IsPrintedVisibly) {
  run({"sh", "-c", "sleep 1000 # \xff"});
  EXPECT_NE(bgtask({"ls"}).out.find("# \\xff"), std::string::npos) << bgtask({"ls"}).out;
}

TEST_F(ListingTest, ATypoOfANameSuggestsTheNearOne) {
  run({"-n", "web", "sleep", "1000"});
  EXPECT_EQ(bgtask({"info", "wbe"}).err, "bgtask: there is no task wbe; did you mean web?\n");
  EXPECT_EQ(bgtask({"info", "database"}).err, "bgtask: there is no task database\n");
  for (const char* name : {"", "@web"})
    EXPECT_EQ(bgtask({"run", "-n", name, "true"}).status, 125) << name;
  EXPECT_EQ(bgtask({"meta", "web", "name="}).status, 125);
}

TEST_F(ListingTest, ValuesAreKept) {
  const std::string id(30, '7');
  run({"-n", "v", "-m", "version=1.10", "-m", "commit=12e4", "-m", "id=" + id, "-m", "zero=-0", "-m", "n=3",
       "--meta-json", "zip=\"01234\"", "-m", R"({"exact": 1.5})", "sleep", "1000"});
  EXPECT_EQ(bgtask({"meta", "v", "version", "commit", "id", "zero", "n", "zip", "exact"}).out,
            "1.10\n12e4\n" + id + "\n-0\n3\n01234\n1.5\n");
  EXPECT_EQ(info("v").at("meta").at("version"), "1.10");
  EXPECT_EQ(bgtask({"meta", "v", "version=2.20", "--meta-json", "n=\"4\""}).status, 0);
  EXPECT_EQ(info("v").at("meta").at("version"), "2.20");
  EXPECT_EQ(info("v").at("meta").at("n"), "4");
  EXPECT_NE(pids({"-l", "version=2.20"}), "");
  EXPECT_EQ(pids({"-l", "version=2.2"}), "");
  EXPECT_NE(pids({"-l", "zip=01234"}), "");
}

TEST_F(ListingTest, AMissingPoolIsAnEmptyList) {
  const std::string missing = pool_ + "/no/such/pool";
  for (const Words& arguments :
       {Words{"ls"}, Words{"ls", "-q"}, Words{"info", "-a"}, Words{"clean"}, Words{"gc"}}) {
    const auto result = bgtask(arguments, "", {{"BGTASK_POOL", missing}});
    EXPECT_EQ(result.status, 0) << arguments[0] << result.err;
    EXPECT_EQ(result.err.find(missing), std::string::npos) << result.err;
  }
  EXPECT_EQ(bgtask({"--pool", missing, "ls", "-o", "json"}).out, "[]\n");
  const auto named = bgtask({"--pool", missing, "info", "web"});
  EXPECT_EQ(named.status, 125);
  EXPECT_TRUE(named.err.starts_with("bgtask: there is no task web: ")) << named.err;
  EXPECT_NE(named.err.find(missing), std::string::npos) << named.err;
  EXPECT_EQ(bgtask({"--pool", missing, "run", "true"}).status, 125) << "its parent is missing too";
}

TEST_F(ListingTest, SortsAndLimits) {
  const std::string b = run({"-n", "b", "-m", "rank=2", "sleep", "1000"});
  const std::string c = run({"-n", "c", "-m", "rank=10", "sleep", "1000"});
  const std::string a = run({"-n", "a", "sleep", "1000"});
  const auto names = [this](Words arguments) {
    arguments.insert(arguments.begin(), {"ls", "-o", "name"});
    return bgtask(arguments).out;
  };
  EXPECT_EQ(names({}), "b\nc\na\n");
  EXPECT_EQ(names({"--sort", "name"}), "a\nb\nc\n");
  EXPECT_EQ(names({"--sort", "-name"}), "c\nb\na\n");
  EXPECT_EQ(names({"--sort", "meta.rank"}), "b\nc\na\n");
  EXPECT_EQ(names({"--sort", "age"}), "a\nc\nb\n");
  EXPECT_EQ(names({"-n", "2"}), "c\na\n") << "the newest";
  EXPECT_EQ(names({"-n", "1", "--sort", "name"}), "a\n");
  EXPECT_EQ(names({"-n", "0"}), "");
  EXPECT_EQ(bgtask({"ls", "--sort", "nmae"}).status, 125);
  EXPECT_EQ(bgtask({"ls", "--sort", "mem"}).status, 0);
}

TEST_F(ListingTest, NoLineIsLongerThanColumns) {
  run({"-n", std::string(80, 'n'), "sh", "-c", "sleep 1000 # " + std::string(200, 'x')});
  for (const char* format : {"table", "wide"}) {
    for (const char* columns : {"20", "40", "80", "132"}) {
      std::istringstream lines(bgtask({"ls", "-o", format}, "", {{"COLUMNS", columns}}).out);
      for (std::string line; std::getline(lines, line);)
        EXPECT_LE(display_width(line), std::stoul(columns)) << line;
    }
  }
  EXPECT_NE(bgtask({"ls"}).out.find(std::string(80, 'n')), std::string::npos) << "not cut for a pipe";
}

TEST_F(ListingTest, WideShowsWhatTheTreeUses) {
  const std::string pid = run({"-c", "(while :; do :; done) & wait"});
  until([&] {
    std::istringstream row(bgtask({"ls", "-o", "wide", "--no-header", pid}).out);
    std::string cells[9];
    for (std::string& cell : cells)
      row >> cell;
    return cells[7] != "0.0s" && cells[8] != "-";
  });
}

}  // namespace
}  // namespace bgtask::cli
