// Floods of signals, through requests to the child and from other processes to the supervisor: requests are
// still served and memory does not grow.
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <random>
#include <set>

#include "tests/faults/fault_test.h"

namespace bgtask::faults {
namespace {

/// Signals that neither a supervisor nor the child of `deaf` reacts to.
constexpr int kAtSupervisor[] = {SIGIO,   SIGCHLD, SIGURG,  SIGWINCH, SIGCONT,
                                 SIGPIPE, SIGXFSZ, SIGTSTP, SIGTTIN,  SIGTTOU};

/// Processes that send signals as fast as they can for as long as this lives.
class Storm {
 public:
  Storm(pid_t target, size_t senders) {
    while (senders_.size() < senders) {
      senders_.push_back(::fork());
      if (senders_.back() == 0) rage(target);
    }
  }
  ~Storm() {
    for (pid_t sender : senders_) {
      ::kill(sender, SIGKILL);  // ours and not yet reaped
      ::waitpid(sender, nullptr, 0);
    }
  }
  Storm(const Storm&) = delete;
  Storm& operator=(const Storm&) = delete;

 private:
  [[noreturn]] static void rage(pid_t target) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (size_t i = 0;; ++i)
      ::kill(target, kAtSupervisor[i % std::size(kAtSupervisor)]);
  }
  std::vector<pid_t> senders_;
};

class SignalStorm : public FaultTest {
 protected:
  /// A child that no signal of the storm ends.
  Task deaf() const { return shell("trap '' 10 12 37 64; echo ready; exec sleep 1000"); }
  Footprint footprint_before(Task& task) const {
    EXPECT_EQ(task.call("ping"), "pong");
    task.disconnect();
    return settled_footprint_of(task.pid());
  }
  void expect_as_before(Task& task, const Footprint& before) const {
    task.disconnect();
    std::string differs;
    EXPECT_TRUE(eventually([&] {
      differs = difference(without_numbers(before), without_numbers(footprint_of(task.pid())));
      return differs.empty();
    })) << differs;
  }
  /// A restart opens the same descriptors again, under whatever numbers are free.
  static Footprint without_numbers(Footprint footprint) {
    std::multiset<std::string> targets;
    for (const auto& [number, target] : footprint.descriptors)
      targets.insert(target);
    footprint.descriptors.clear();
    for (const std::string& target : targets)
      footprint.descriptors.emplace(static_cast<int>(footprint.descriptors.size()), target);
    return footprint;
  }
};

TEST_F(SignalStorm, G3_G5_ThroughRequestsIsServedWhileOthersAre) {
  const int count = scaled(50'000, 1'000'000);
  Task task = deaf();
  ASSERT_TRUE(wait_limit(task, "stdout", 6));
  const pid_t child = child_of(task);
  const Footprint before = footprint_before(task);
  {
    const char* kSignals[] = {"USR1", "USR2", "RTMIN+3", "RTMIN+30", "WINCH", "URG", "CONT", "CHLD"};
    e2e::RawClient sender(socket_of(task), e2e::Encoding::kMsgpack), other(socket_of(task));
    constexpr int kBatch = 250;
    for (int sent = 0; sent < count; sent += kBatch) {
      const char* signal = kSignals[sent / kBatch % static_cast<int>(std::size(kSignals))];
      std::string requests;
      for (int i = 0; i < kBatch; ++i) {
        const char* scope = i % 50 == 1 ? "group" : i % 125 == 2 ? "tree" : "process";
        requests += sender.encode({{"jsonrpc", "2.0"},
                                   {"id", sent + i},
                                   {"method", "kill"},
                                   {"params", {{"signal", signal}, {"scope", scope}}}});
      }
      ASSERT_TRUE(sender.send(requests));
      ASSERT_EQ(other.result("ping"), "pong") << "in the midst of it";
      for (int i = 0; i < kBatch; ++i) {
        const auto reply = sender.receive();
        ASSERT_TRUE(reply.has_value());
        ASSERT_EQ((*reply)["id"], sent + i);
        ASSERT_TRUE(reply->contains("result")) << *reply;
        ASSERT_EQ((*reply)["result"]["signalled"], 1);
      }
    }
  }
  EXPECT_EQ(child_of(task), child);
  EXPECT_EQ(task.info(true)["status"]["state"], "running");
  expect_as_before(task, before);
}

TEST_F(SignalStorm, G4_AtTheSupervisorCostsNoRequestAndNoExitStatus) {
  const int rounds = scaled(40, 2'000);
  Task task = awkward({"puppet"});
  const Footprint before = footprint_before(task);
  {
    const Storm storm(task.pid(), 2);
    e2e::RawClient client(socket_of(task));
    for (int round = 0; round < rounds; ++round) {
      const int code = round % 100 + 1;
      ASSERT_EQ(client.result("ping"), "pong");
      client.result("write", {{"stream", 0}, {"data", "out x\nexit " + std::to_string(code) + "\n"}});
      const Json ended = client.result("wait", {{"for", {"exit"}}, {"timeout", 60}});
      ASSERT_EQ(ended["fired"], "exit");
      ASSERT_EQ(ended["status"]["exit_code"], code);
      ASSERT_EQ(client.result("restart")["restarted"], true);
    }
  }
  EXPECT_EQ(task.info(true)["runs"], rounds + 1);
  EXPECT_EQ(task.stream("stdout").limit(), 2 * static_cast<uint64_t>(rounds));
  expect_as_before(task, before);
  EXPECT_TRUE(zombies_of_supervisors().empty());
}

TEST_F(SignalStorm, G4_PausingAndResumingEndsInTheStateAskedForLast) {
  Task task = deaf();
  ASSERT_TRUE(wait_limit(task, "stdout", 6));
  const pid_t child = child_of(task);
  const Footprint before = footprint_before(task);
  std::mt19937 random(seed());
  for (int i = 0; i < scaled(1'000, 20'000); ++i) {
    ASSERT_EQ(random() % 2 == 0 ? task.pause() : task.resume(), 1u) << "seed " << seed() << ", call " << i;
  }
  for (bool paused : {true, false}) {
    ASSERT_EQ(paused ? task.pause() : task.resume(), 1u);
    EXPECT_TRUE(eventually([&] { return e2e::process_state(child) == (paused ? 'T' : 'S'); }));
    EXPECT_TRUE(eventually([&] { return task.info(true)["status"]["paused"] == paused; }));
  }
  expect_as_before(task, before);
}

TEST_F(SignalStorm, G4_AThousandDescendantsThatEndTogetherLeaveNoZombie) {
  const int count = scaled(300, 1'000);
  const std::filesystem::path gate = make_fifo("gate");
  // Each is an orphan at once, which the supervisor has to reap; all end when the gate's writer goes.
  Task task =
      shell("exec 7<>" + gate.string() + " 8<" + gate.string() + "; i=0; while [ $i -lt " +
            std::to_string(count) + " ]; do (exec 7<&-; read x <&8; exit 0) & i=$((i+1)); done; exit 5");
  EXPECT_EQ(wait_exit(task)["exit_code"], 5);
  EXPECT_TRUE(eventually([&] { return task.info(true)["descendants"] == 0; }));
  EXPECT_TRUE(eventually([] { return zombies_of_supervisors().empty(); }));
}

}  // namespace
}  // namespace bgtask::faults
