// Every signal sent to a supervisor: three delete the task, most kill the supervisor and leave a lost task,
// the rest do nothing.
#include <sys/stat.h>

#include <algorithm>
#include <csignal>
#include <fstream>

#include "tests/e2e/pattern.h"
#include "tests/faults/fault_test.h"

namespace bgtask::faults {
namespace {

constexpr int kHighest = 64;
constexpr int kDeleting[] = {SIGHUP, SIGINT, SIGTERM};
/// Ignored, handled, or without effect by default. TSTP, TTIN and TTOU do not stop a lone session leader.
constexpr int kHarmless[] = {SIGIO,    SIGPIPE, SIGCHLD, SIGCONT, SIGURG,
                             SIGWINCH, SIGXFSZ, SIGTSTP, SIGTTIN, SIGTTOU};

template <size_t N>
bool is_in(const int (&list)[N], int signal) {
  return std::find(std::begin(list), std::end(list), signal) != std::end(list);
}

std::vector<int> fatal_signals() {
  std::vector<int> signals;
  for (int signal = 1; signal <= kHighest; ++signal) {
    if (!is_in(kDeleting, signal) && !is_in(kHarmless, signal) && signal != SIGSTOP)
      signals.push_back(signal);
  }
  return signals;
}

class SignalsToSupervisor : public FaultTest {
 protected:
  Seconds time_of(const std::function<void()>& act) const {
    const auto begin = std::chrono::steady_clock::now();
    act();
    return std::chrono::steady_clock::now() - begin;
  }
};

TEST_F(SignalsToSupervisor, G6_HangupInterruptAndTermDeleteTheTaskCompletely) {
  const std::vector<std::string> sockets = named_sockets();
  for (int signal : kDeleting) {
    SCOPED_TRACE(signal);
    Task task = awkward({"family"});
    const auto family = family_of(task, 4);
    Task paused = awkward({"sleep"});
    ASSERT_EQ(paused.pause(), 1u);
    Task ended = awkward({"exit", "3"});
    wait_exit(ended);
    for (const Task* each : {&task, &paused, &ended}) {
      ASSERT_TRUE(e2e::send_signal(each->pid(), signal));
      EXPECT_TRUE(eventually([&] { return e2e::gone(each->pid()); }));
    }
    for (const auto& [role, pid] : family)
      EXPECT_TRUE(e2e::gone(pid)) << role;
    EXPECT_EQ(e2e::names_in(pool().path()), std::vector<std::string>{std::to_string(bystander().pid())});
    EXPECT_EQ(named_sockets(), sockets);
    EXPECT_EQ(other_processes().size(), 2u);
  }
}

TEST_F(SignalsToSupervisor, G7_EveryFatalSignalLeavesALostTaskThatCanBeAdopted) {
  for (int signal : fatal_signals()) {
    SCOPED_TRACE(signal);
    Task task = shell("printf before; exec sleep 1000");
    ASSERT_TRUE(wait_limit(task, "stdout", 6));
    const pid_t child = child_of(task);
    ASSERT_TRUE(e2e::send_signal(task.pid(), signal));
    ASSERT_TRUE(eventually([&] { return e2e::gone(task.pid()); }));
    const auto lost = pool().search({{"status", {{"state", "lost"}}}});
    ASSERT_EQ(lost.size(), 1u);
    EXPECT_EQ(lost[0].pid(), task.pid());
    EXPECT_EQ(lost[0].snapshot()["status"]["running"], true);
    EXPECT_EQ(lost[0].stream("stdout").peek().data, "before");
    EXPECT_FALSE(e2e::gone(child));
    Task adopted = pool().adopt(task.pid());
    EXPECT_EQ(adopted.info(true)["child_pid"], child);
    EXPECT_EQ(adopted.info()["status"]["state"], "running");
    EXPECT_EQ(adopted.stream("stdout").read().data, "before");
    adopted.remove();
    EXPECT_TRUE(e2e::gone(child));
  }
  expect_bystander_unharmed();
}

TEST_F(SignalsToSupervisor, G7_EveryFatalSignalLeavesNoProcessWithPolicyKill) {
  for (int signal : {SIGKILL, SIGSEGV, SIGABRT, SIGQUIT, SIGUSR1, SIGSYS, 32, 64}) {
    SCOPED_TRACE(signal);
    Task task = awkward({"family", "stubborn"}, {.on_supervisor_death = OnSupervisorDeath::kKill});
    family_of(task, 4);
    ASSERT_TRUE(e2e::send_signal(task.pid(), signal));
    EXPECT_TRUE(eventually([] { return other_processes().size() == 2; })) << "only the bystander's are left";
    EXPECT_EQ(task.snapshot()["status"]["state"], "lost");
    EXPECT_EQ(task.snapshot()["status"]["running"], false);
    EXPECT_EQ(pool().gc(), std::vector<pid_t>{task.pid()});
  }
}

TEST_F(SignalsToSupervisor, G7_HarmlessSignalsLeaveTheSupervisorInChargeAndAsItWas) {
  Task task = awkward({"puppet"});
  ASSERT_EQ(task.call("ping"), "pong");
  task.disconnect();
  const pid_t child = child_of(task);
  task.disconnect();
  const Footprint before = settled_footprint_of(task.pid());
  for (int signal : kHarmless) {
    SCOPED_TRACE(signal);
    for (int i = 0; i < 20; ++i)
      ASSERT_TRUE(e2e::send_signal(task.pid(), signal));
    EXPECT_EQ(task.call("ping"), "pong");
  }
  EXPECT_EQ(task.info(true)["status"]["state"], "running");
  EXPECT_EQ(task.info()["child_pid"], child);
  task.disconnect();
  EXPECT_EQ(difference(before, settled_footprint_of(task.pid())), "");
}

TEST_F(SignalsToSupervisor, G7_G10_AStoppedSupervisorIsUnresponsiveAndHindersNoSearch) {
  constexpr Seconds kTimeout{0.3}, kFarTooLong{8};
  const std::filesystem::path fifo = make_fifo("commands");
  Task task = awkward({"puppet", fifo.string()});
  std::ofstream commands(fifo);
  commands << "out before\n" << std::flush;
  ASSERT_TRUE(wait_limit(task, "stdout", 7));
  task.disconnect();
  const Footprint before = settled_footprint_of(task.pid());
  Task connected(task.pid(), pool().path());
  connected.connect();
  ASSERT_TRUE(e2e::send_signal(task.pid(), SIGSTOP));
  ASSERT_TRUE(eventually([&] { return e2e::process_state(task.pid()) == 'T'; }));

  commands << "pattern 0 300000\n" << std::flush;  // more than the pipe holds: the child has to wait
  const std::vector<std::pair<const char*, Json>> calls = {{"ping", Json::object()},
                                                           {"info", Json::object()},
                                                           {"kill", {{"signal", "WINCH"}}},
                                                           {"read", {{"stream", "stdout"}, {"peek", true}}}};
  for (const auto& request : calls) {
    SCOPED_TRACE(request.first);
    for (Task fresh(task.pid(), pool().path()); Task * each : {&connected, &fresh}) {
      each->set_timeout(kTimeout);
      Error error;
      const Seconds took =
          time_of([&] { error = e2e::error_of([&] { each->call(request.first, request.second); }); });
      EXPECT_EQ(error.code(), "unresponsive");
      EXPECT_TRUE(error.retryable());
      EXPECT_GE(took, kTimeout * 0.9);
      EXPECT_LT(took, kFarTooLong);
    }
  }
  const Seconds searching = time_of([&] {
    const auto found = pool().search({{"status", {{"state", "running"}}}});
    EXPECT_EQ(found.size(), 2u) << "the stopped one and the bystander's";
  });
  EXPECT_LT(searching, kFarTooLong);
  EXPECT_EQ(task.snapshot()["child_pid"], task.snapshot()["child_pid"]);
  EXPECT_EQ(task.stream("stdout").peek().data, "before\n") << "output is read without it";
  EXPECT_EQ(e2e::error_of([&] { pool().adopt(task.pid()); }).code(), "running");
  EXPECT_TRUE(pool().gc().empty());
  expect_bystander_unharmed();

  ASSERT_TRUE(e2e::send_signal(task.pid(), SIGCONT));
  connected.set_timeout(e2e::kPatience);  // pending work comes first
  EXPECT_EQ(connected.call("ping"), "pong");
  ASSERT_TRUE(wait_limit(task, "stdout", 300'007));
  EXPECT_TRUE(task.stream("stdout").read().data == "before\n" + e2e::pattern(0, 300'000));
  EXPECT_EQ(task.stream("stdout").info()["lost"], 0);
  connected.disconnect();
  task.disconnect();
  EXPECT_TRUE(eventually([&] { return difference(before, footprint_of(task.pid())).empty(); }))
      << difference(before, footprint_of(task.pid()));
}

TEST_F(SignalsToSupervisor, G6_AStoppedSupervisorDeletesOnceItGoesOn) {
  Task task = awkward({"family"});
  family_of(task, 4);
  ASSERT_TRUE(e2e::send_signal(task.pid(), SIGSTOP));
  ASSERT_TRUE(eventually([&] { return e2e::process_state(task.pid()) == 'T'; }));
  ASSERT_TRUE(e2e::send_signal(task.pid(), SIGTERM));
  ASSERT_TRUE(e2e::send_signal(task.pid(), SIGCONT));
  EXPECT_TRUE(eventually([] { return other_processes().size() == 2; }));
  EXPECT_EQ(e2e::names_in(pool().path()), std::vector<std::string>{std::to_string(bystander().pid())});
}

}  // namespace
}  // namespace bgtask::faults
