// The built program, on real tasks.

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bgtask/json.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>

#include "tests/cli/program_fixture.h"

namespace bgtask::cli {
namespace {

using Words = std::vector<std::string>;

class CommandTest : public ProgramTest {
 protected:
  Json info(const std::string& task) const { return Json::parse(bgtask({"info", task}).out); }
  // Runs and waits for the end, so that all output is there.
  std::string ended(Words arguments) const {
    const std::string pid = run(std::move(arguments));
    wait(pid);
    return pid;
  }
};

TEST_F(CommandTest, RunPrintsOnlyThePid) {
  const auto result = bgtask({"run", "true"});
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(result.err, "");
  EXPECT_EQ(info(result.out.substr(0, result.out.size() - 1)).at("pid").get<int>(), std::stoi(result.out));
}

TEST_F(CommandTest, ArgumentsArriveAsGiven) {
  const Words arguments = {"printf", "<%s>", "",    "a b", "--help", "--",
                           "-n",     "x\ny", "'\"", "ü",   "$HOME",  "[1,2]"};
  const std::string pid = ended(arguments);
  EXPECT_EQ(bgtask({"logs", pid}).out, "<><a b><--help><--><-n><x\ny><'\"><ü><$HOME><[1,2]>");
  EXPECT_EQ(info(pid).at("command").get<Words>(), arguments);
  EXPECT_EQ(info(ended({"--", "printf", "--", "%s", "--pool"})).at("command").get<Words>(),
            (Words{"printf", "--", "%s", "--pool"}));
}

TEST_F(CommandTest, AVerbForManyTasksNeedsFewDescriptors) {
  for (int i = 0; i < 20; ++i)
    run({"sleep", "1000"});
  rlimit usual{};
  ::getrlimit(RLIMIT_NOFILE, &usual);
  const rlimit few{32, usual.rlim_max};
  ::setrlimit(RLIMIT_NOFILE, &few);
  const ProgramResult result = bgtask({"kill", "-s", "CONT", "-a"});
  ::setrlimit(RLIMIT_NOFILE, &usual);
  EXPECT_EQ(result.status, 0) << result.err;
}

TEST_F(CommandTest, WrongUsageIs125AndHelpIs0) {
  for (const Words& arguments :
       {Words{"frobnicate"}, Words{"ls", "--bogus"}, Words{"kill"}, Words{"delete"}, Words{"stop"},
        Words{"run"}, Words{"wait"}, Words{"logs", "-n", "x", "1"}, Words{"ls", "--state", "x"},
        Words{"run", "--rm", "true"}, Words{"run", "-c", "x", "y"}, Words{"info", "999999999"}}) {
    const auto result = bgtask(arguments);
    EXPECT_EQ(result.status, 125) << arguments[0];
    EXPECT_EQ(result.out, "");
    EXPECT_TRUE(result.err.starts_with("bgtask: ")) << result.err;
  }
  for (const Words& arguments :
       {Words{"--help"}, Words{"help"}, Words{"run", "--help"}, Words{"help", "logs"}, Words{"--version"}}) {
    const auto result = bgtask(arguments);
    EXPECT_EQ(result.status, 0) << arguments[0];
    EXPECT_NE(result.out, "");
    EXPECT_EQ(result.err, "");
  }
}

TEST_F(CommandTest, ACommandThatCannotBeRunIsExplained) {
  const std::string script = pool_ + "/.script";
  const auto says = [&](const std::string& text, const std::string& hint) {
    std::ofstream(script) << text;
    std::filesystem::permissions(script, std::filesystem::perms::owner_all);
    const auto result = bgtask({"run", script});
    EXPECT_NE(result.err.find(hint), std::string::npos) << result.err;
    return result.status;
  };
  EXPECT_EQ(says("#!/no/such/program\n", "; the file is there, but not its interpreter '/no/such/program'\n"),
            127);
  EXPECT_EQ(says("#!/bin/sh\r\n", "carriage return"), 127);
  EXPECT_EQ(says("echo hello\n", "; a script needs a first line such as #!/bin/sh\n"), 126);
  EXPECT_NE(bgtask({"run", "echo hello"}).err.find("give -c"), std::string::npos);
  EXPECT_NE(bgtask({"run", "A=1", "env"}).err.find("give -e A=1"), std::string::npos);
  std::filesystem::remove(script);
}

TEST_F(CommandTest, CommandsThatCannotBeRunAre126And127) {
  EXPECT_EQ(bgtask({"run", "/nonexistent/program"}).status, 127);
  EXPECT_EQ(bgtask({"run", "no-such-program-anywhere"}).status, 127);
  EXPECT_EQ(bgtask({"run", "/dev/shm"}).status, 126);
  EXPECT_EQ(bgtask({"run", "/etc/passwd"}).status, 126);
  EXPECT_EQ(bgtask({"run", "-w", "/nonexistent", "true"}).status, 125);
  EXPECT_EQ(bgtask({"run", "true"}, "", {{"BGTASK_SUPERVISOR", "/nonexistent"}}).status, 125);
  EXPECT_EQ(bgtask({"ls", "-q"}).out, "") << "nothing is left behind";
}

TEST_F(CommandTest, TheTasksStatusIsPassedOn) {
  EXPECT_EQ(bgtask({"run", "--wait", "-c", "exit 7"}).status, 7);
  EXPECT_EQ(bgtask({"run", "--wait", "-c", "kill -TERM $$"}).status, 143);
  EXPECT_EQ(bgtask({"run", "--wait", "--wait-timeout", "0.1", "sleep", "60"}).status, 124);
  EXPECT_EQ(wait(run({"-c", "exit 9"})), 9);
  const auto followed = bgtask({"run", "--rm", "-f", "-c", "echo out; echo err >&2; exit 3"});
  EXPECT_EQ(followed.status, 3);
  EXPECT_EQ(followed.out, "out\n");
  EXPECT_NE(followed.err.find("err\n"), std::string::npos);
  EXPECT_EQ(bgtask({"wait", "--timeout", "0.1", "--state", "running", "-a"}).status, 124);
}

TEST_F(CommandTest, RunSetsTheSurroundings) {
  const std::string pid = ended({"-e", "A=1 2", "-w", "/dev/shm", "--umask", "027", "--limit", "nofile=99",
                                 "-m", "n=3", "-n", "x", "-c", "echo $A; pwd; umask; ulimit -n"});
  EXPECT_EQ(bgtask({"logs", pid}).out, "1 2\n/dev/shm\n0027\n99\n");
  EXPECT_EQ(info(pid).at("meta"), Json({{"n", 3}, {"name", "x"}}));
}

TEST_F(CommandTest, SelectorsUniteAndNarrow) {
  const std::string a = run({"-n", "a", "-m", "team=web", "sleep", "60"});
  const std::string b = run({"-n", "b", "-m", "team=web", "-m", "env=test", "sleep", "60"});
  const std::string c = ended({"-n", "c", "true"});
  const auto pids = [this](Words arguments) {
    arguments.insert(arguments.begin(), {"ls", "-q"});
    return bgtask(arguments).out;
  };
  EXPECT_EQ(pids({}), a + "\n" + b + "\n" + c + "\n");
  EXPECT_EQ(pids({"@last"}), c + "\n");
  EXPECT_EQ(pids({"b", a}), b + "\n" + a + "\n");
  EXPECT_EQ(pids({"-l", "team=web,env!=test"}), a + "\n");
  EXPECT_EQ(pids({"a", "c", "--state", "running"}), a + "\n");
  EXPECT_EQ(pids({"--where", "status.running=0"}), c + "\n");
  EXPECT_EQ(pids({"--where", R"({"meta": {"env": "test"}})"}), b + "\n");
  EXPECT_EQ(bgtask({"ls", "-q", "a", "nobody"}).status, 125);
  EXPECT_EQ(bgtask({"--pool", pool_, "ls", "-o", "name"}, "", {{"BGTASK_POOL", "/nonexistent"}}).out,
            "a\nb\nc\n");
  EXPECT_EQ(bgtask({"ls", "--pool", pool_, "-o", "name"}, "", {{"BGTASK_POOL", "/nonexistent"}}).out,
            "a\nb\nc\n");
  // A second may pass between the two.
  const auto without_times = [](const std::string& text) {
    return std::regex_replace(text, std::regex(" +([0-9]+[smhd])*"), " ");
  };
  EXPECT_EQ(without_times(bgtask({}).out), without_times(bgtask({"ls"}).out)) << "a bare bgtask lists";
}

TEST_F(CommandTest, ListsAreDocuments) {
  EXPECT_EQ(Json::parse(bgtask({"ls", "-o", "json"}).out), Json::array());
  const std::string pid = run({"-n", "evil\x1b[2J\n", "sleep", "60"});
  const Json all = Json::parse(bgtask({"ls", "-o", "json"}).out);
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].at("meta").at("name"), "evil\x1b[2J\n");
  EXPECT_EQ(Json::parse(bgtask({"ps", "-o", "jsonl"}).out).at("pid").get<int>(), std::stoi(pid));
  for (const char* format : {"table", "wide", "name", "json", "jsonl"}) {
    const auto result = bgtask({"ls", "-o", format});
    EXPECT_EQ(result.out.find('\x1b'), std::string::npos) << format;
  }
  EXPECT_EQ(bgtask({"ls", "--no-header"}).out.find("PID"), std::string::npos);
}

TEST_F(CommandTest, LogsSelectLines) {
  const std::string pid =
      ended({"-c", "for i in 1 2 3 4 5; do echo line $i; done; echo bad >&2; printf end"});
  const auto logs = [&](Words arguments) {
    arguments.insert(arguments.begin(), "logs");
    arguments.push_back(pid);
    const auto result = bgtask(arguments);
    EXPECT_EQ(result.status, 0) << result.err;
    return result.out;
  };
  const std::string out = "line 1\nline 2\nline 3\nline 4\nline 5\nend";
  EXPECT_EQ(logs({"--stream", "out"}), out);
  EXPECT_EQ(logs({"--stream", "out"}), out) << "nothing is consumed";
  EXPECT_EQ(logs({"--stream", "err"}), "bad\n");
  EXPECT_EQ(logs({"--stream", "out", "-n", "2"}), "line 5\nend");
  EXPECT_EQ(logs({"--stream", "out", "--head", "1"}), "line 1\n");
  EXPECT_EQ(logs({"-g", "3|4"}), "line 3\nline 4\n");
  EXPECT_EQ(logs({"--bytes", "5:13"}), "1\nline 2");
  EXPECT_EQ(logs({"--since", "1h", "--stream", "err"}), "bad\n");
  EXPECT_EQ(logs({"--until", "1h"}), "");
  EXPECT_EQ(logs({"-f", "--stream", "out"}), out) << "the task has ended, so there is nothing to wait for";
  const std::string stamped = logs({"-t", "-g", "line 1"});
  EXPECT_EQ(stamped.substr(29), " line 1\n") << stamped;
}

TEST_F(CommandTest, LogsGoOnFromACursor) {
  const std::string pid = run({"-i", "cat"});
  const std::string file = pool_ + ".cursor";
  ASSERT_EQ(bgtask({"send", pid, "one"}).status, 0);
  ASSERT_EQ(bgtask({"wait", "--for", "output", "--timeout", "30", pid}).status, 0);
  EXPECT_EQ(bgtask({"logs", "--cursor-file", file, pid}).out, "one\n");
  EXPECT_EQ(bgtask({"logs", "--cursor-file", file, pid}).out, "");
  ASSERT_EQ(bgtask({"send", "--close", pid, "two"}).status, 0);
  EXPECT_EQ(wait(pid), 0);
  EXPECT_EQ(bgtask({"logs", "--cursor-file", file, pid}).out, "two\n");
  const Json first = Json::parse(bgtask({"logs", "-o", "json", pid}).out).at("chunks").at(0);
  EXPECT_EQ(first.at("data"), "one\n");
  EXPECT_EQ(bgtask({"logs", "--after", std::to_string(first.at("seq").get<int>() + 1), pid}).out, "two\n");
  std::filesystem::remove(file);
}

TEST_F(CommandTest, AllBytesPass) {
  std::string all;
  for (int i = 0; i < 256; ++i)
    all += static_cast<char>(i);
  const std::string pid = run({"-i", "cat"});
  ASSERT_EQ(bgtask({"send", "--close", pid}, all).status, 0);
  EXPECT_EQ(wait(pid), 0);
  EXPECT_EQ(bgtask({"logs", pid}).out, all);
  EXPECT_EQ(Json::parse(bgtask({"logs", "-o", "jsonl", pid}).out).at("data").count("base64"), 1u);
  EXPECT_EQ(bgtask({"read", "--peek", pid}).out, all);
  EXPECT_EQ(bgtask({"read", "--count", "100", pid}).out, all.substr(0, 100));
  EXPECT_EQ(bgtask({"read", pid}).out, all.substr(100));
  EXPECT_EQ(bgtask({"read", pid}).out, "");
}

TEST_F(CommandTest, SignalsSayWhatTheySent) {
  const std::string pid = run({"sleep", "60"});
  const auto paused = bgtask({"pause", pid});
  EXPECT_EQ(paused.err, "bgtask: paused 1 process of " + pid + "\n");
  EXPECT_EQ(bgtask({"ls", "-q", "--state", "paused"}).out, pid + "\n");
  EXPECT_EQ(bgtask({"resume", pid}).status, 0);
  EXPECT_EQ(bgtask({"kill", "-s", "sigcont", pid}).err, "bgtask: sent CONT to 1 process of " + pid + "\n")
      << "names are taken in any case, as the protocol does";
  EXPECT_EQ(bgtask({"kill", "-s", "terminate", pid}).status, 125);
  const auto killed = bgtask({"kill", "-term", pid});
  EXPECT_EQ(killed.out, "");
  EXPECT_EQ(killed.err, "bgtask: sent TERM to 1 process of " + pid + "\n");
  EXPECT_EQ(wait(pid), 143);
  EXPECT_EQ(bgtask({"kill", "-9", pid}).status, 125) << "it has ended";
  const auto restarted = bgtask({"restart", "-o", "jsonl", pid});
  EXPECT_EQ(Json::parse(restarted.out).at("restarted"), true);
  EXPECT_EQ(bgtask({"stop", "-t", "30", pid}).status, 0);
  EXPECT_EQ(wait(pid), 143);
  EXPECT_EQ(bgtask({"stop", pid}).status, 0) << "ended already: nothing to do";
}

TEST_F(CommandTest, SignalsMayBeNamedInAnyWay) {
  const std::string pid = run({"-c", "trap 'echo got' TERM; echo ready; while :; do sleep 0.02; done"});
  ASSERT_EQ(bgtask({"wait", "--for", "output", "--timeout", "30s", pid}).status, 0);
  for (const Words& signal : {Words{"-s", "term"}, Words{"-s", "SIGTERM"}, Words{"-s", "15"}, Words{"-term"},
                              Words{"-TERM"}, Words{"-15"}}) {
    Words arguments = signal;
    arguments.insert(arguments.begin(), "kill");
    arguments.insert(arguments.end(), {"--scope", "process", pid});
    EXPECT_EQ(bgtask(arguments).err, "bgtask: sent TERM to 1 process of " + pid + "\n") << signal[0];
  }
  for (const char* signal : {"0", "65", "99999999999999999999", "NOSUCH", ""})
    EXPECT_EQ(bgtask({"kill", "-s", signal, pid}).status, 125) << signal;
}

TEST_F(CommandTest, OneFailureDoesNotKeepTheOthers) {
  const std::string ended_pid = ended({"true"});
  const std::string pid = run({"sleep", "60"});
  EXPECT_EQ(bgtask({"kill", "999999999", ended_pid, pid}).status, 125);
  EXPECT_EQ(wait(pid), 137);
}

TEST_F(CommandTest, TasksAreEndedAtTheSameTime) {
  // The first ends only after the second was told to: one after the other, it would have to be killed.
  const std::string told = pool_ + "/.told", wait_on = "; echo ready; while :; do sleep 0.02; done";
  const std::string first =
      run({"-c", "trap 'until test -e " + told + "; do sleep 0.02; done; exit' TERM" + wait_on});
  const std::string second = run({"-c", "trap 'echo > " + told + "; exit' TERM" + wait_on});
  for (const std::string& pid : {first, second})
    EXPECT_EQ(bgtask({"wait", "--for", "output", "--timeout", "30s", pid}).status, 0);
  const Json receipts = Json::parse(bgtask({"stop", "-t", "30s", "-o", "json", first, second}).out);
  EXPECT_EQ(receipts.at(0).at("pid"), std::stoi(first)) << "reports come in the order given";
  EXPECT_EQ(receipts.at(0).at("killed"), 0);
  EXPECT_EQ(receipts.at(1).at("killed"), 0);
  std::filesystem::remove(told);
}

TEST_F(CommandTest, DeleteHandsBackWhatNobodyRead) {
  const std::string pid = ended({"-c", "printf last; printf ' words' >&2"});
  const auto result = bgtask({"delete", "--collect", pid});
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(result.out.size(), 10u) << result.out;
  EXPECT_EQ(bgtask({"info", pid}).status, 125);
  EXPECT_EQ(bgtask({"rm", pid}).status, 125);
  EXPECT_EQ(bgtask({"rm", "-f", pid}).status, 0);
  const std::string running = run({"sleep", "60"});
  const Json receipts = Json::parse(bgtask({"delete", "-o", "json", running}).out);
  EXPECT_EQ(receipts.at(0).at("signalled"), 1);
  EXPECT_EQ(receipts.at(0).at("survivors"), Json::array());
}

TEST_F(CommandTest, CleanDeletesOnlyWhatHasEnded) {
  const std::string running = run({"sleep", "60"});
  const std::string done = ended({"true"});
  EXPECT_EQ(bgtask({"prune"}).out, done + "\n");
  EXPECT_EQ(bgtask({"ls", "-q"}).out, running + "\n");
}

TEST_F(CommandTest, MetaIsSetShownAndRemoved) {
  const std::string pid = run({"-n", "m", "sleep", "60"});
  EXPECT_EQ(bgtask({"meta", pid, "team=web", "tries=3", R"({"deep": {"a": 1}})"}).status, 0);
  EXPECT_EQ(bgtask({"meta", "m", "tries", "team", "deep.a"}).out, "3\nweb\n1\n");
  EXPECT_EQ(bgtask({"meta", pid, "team-"}).status, 0);
  EXPECT_EQ(Json::parse(bgtask({"meta", pid}).out),
            Json({{"name", "m"}, {"tries", 3}, {"deep", {{"a", 1}}}}));
  EXPECT_EQ(bgtask({"meta", pid, "team"}).status, 125);
  EXPECT_EQ(bgtask({"meta", "k=v"}).status, 125) << "outside of a task somebody must be named";
}

TEST_F(CommandTest, InsideATaskNothingNeedsAPid) {
  const std::string pid =
      ended({"-c", std::string(BGTASK_PROGRAM) + " meta step=2 && " + BGTASK_PROGRAM +
                       " emit '{\"progress\": 10}' && printf raw | " + BGTASK_PROGRAM + " emit"});
  EXPECT_EQ(info(pid).at("status").at("exit_code"), 0) << bgtask({"logs", pid}).out;
  EXPECT_EQ(bgtask({"meta", pid, "step"}).out, "2\n");
  EXPECT_EQ(bgtask({"logs", "--stream", "data", pid}).out, "{\"progress\": 10}\nraw\n");
  EXPECT_EQ(bgtask({"read", "--stream", "data", pid}).out, "{\"progress\": 10}\nraw\n");
}

TEST_F(CommandTest, EmitSaysWhatIsWrong) {
  EXPECT_NE(bgtask({"emit", "x"}).err.find("BGTASK_DATA_FD"), std::string::npos);
  EXPECT_EQ(bgtask({"emit", "x"}).status, 125);
  EXPECT_EQ(bgtask({"emit", "x"}, "", {{"BGTASK_DATA_FD", "0"}}).status, 125) << "a file";
  EXPECT_EQ(bgtask({"emit", "x"}, "", {{"BGTASK_DATA_FD", "zero"}}).status, 125);
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
  const Environment channel = {{"BGTASK_DATA_FD", std::to_string(ends[1])}};
  const auto large = bgtask({"emit"}, std::string(65537, 'x'), channel);
  EXPECT_EQ(large.status, 125);
  EXPECT_NE(large.err.find("65536"), std::string::npos) << large.err;
  EXPECT_EQ(bgtask({"emit", "hello"}, "", channel).status, 0);
  char message[16];
  EXPECT_EQ(::recv(ends[0], message, sizeof message, 0), 5);
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST_F(CommandTest, ANameIsStartedOnce) {
  const Words again = {"run", "-n", "once", "--if-exists", "attach", "sleep", "60"};
  const std::string first = bgtask(again).out;
  EXPECT_EQ(bgtask(again).out, first);
  EXPECT_EQ(bgtask({"run", "-n", "once", "--if-exists", "fail", "true"}).status, 125);
  const std::string second = bgtask({"run", "-n", "once", "--if-exists", "replace", "true"}).out;
  EXPECT_NE(second, first);
  EXPECT_EQ(bgtask({"ls", "-q"}).out, second);
}

TEST_F(CommandTest, AForegroundRunLastsUntilTheTaskIsDeleted) {
  EXPECT_EQ(bgtask({"run", "--behavior", "foreground", "--wait", "--rm", "-c", "exit 4"}).status, 4);
  EXPECT_EQ(bgtask({"ls", "-q"}).out, "");
}

TEST_F(CommandTest, AClosedPipeAndAFullDiskAreNoticed) {
  const std::string pid = ended({"-c", "head -c 300000 /dev/zero"});
  EXPECT_EQ(
      bgtask({"run", "--wait", "-c", std::string(BGTASK_PROGRAM) + " logs " + pid + " > /dev/full"}).status,
      125);
}

// More of them than may wait for their report, behind one that takes its time.
TEST_F(CommandTest, ManyTasksBehindASlowOneAreAllDeletedAndReportedInOrder) {
  std::vector<std::string> pids = {run({"sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1; done"})};
  for (int i = 0; i < 90; ++i)
    pids.push_back(run({"sleep", "1000"}));
  std::vector<std::string> arguments = {"delete", "--grace", "0.3", "-o", "jsonl"};
  arguments.insert(arguments.end(), pids.begin(), pids.end());
  const auto result = bgtask(arguments);
  EXPECT_EQ(result.status, 0) << result.err;
  std::vector<std::string> reported;
  std::istringstream lines(result.out);
  for (std::string line; std::getline(lines, line);)
    reported.push_back(std::to_string(Json::parse(line).at("pid").get<int>()));
  EXPECT_EQ(reported, pids);
  EXPECT_EQ(bgtask({"ls", "-q"}).out, "");
}

}  // namespace
}  // namespace bgtask::cli
