// Too few descriptors at the start and later: a task or one typed error, no busy loop, recovery.
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

#include <sstream>

#include "tests/faults/fault_test.h"

namespace bgtask::faults {
namespace {

using e2e::error_word;
using e2e::names_in;
using e2e::RawClient;

constexpr rlim_t kFewest = 3, kMost = 40;

void set_limit(pid_t pid, rlim_t soft, rlim_t hard) {
  const rlimit limit{soft, hard};
  ASSERT_EQ(::prlimit(pid, RLIMIT_NOFILE, &limit, nullptr), 0) << strerror(errno);
}

rlimit limit_of(pid_t pid) {
  rlimit limit{};
  EXPECT_EQ(::prlimit(pid, RLIMIT_NOFILE, nullptr, &limit), 0);
  return limit;
}

/// User and system time of a process so far, in clock ticks.
int64_t ticks_of(pid_t pid) {
  const std::string stat = e2e::read_whole("/proc/" + std::to_string(pid) + "/stat");
  std::istringstream fields(stat.substr(stat.rfind(')') + 2));
  std::string skipped;
  for (int field = 3; field < 14; ++field)
    fields >> skipped;
  int64_t user = 0, system = 0;
  fields >> user >> system;
  return user + system;
}

class FewDescriptors : public FaultTest {
 protected:
  /// Spawns under this limit; returns the task's pid or an error word.
  std::string spawn_within(rlim_t soft, rlim_t hard, const SpawnOptions& options) const {
    const e2e::ProgramResult result = e2e::in_child([&]() -> std::string {
      const rlimit limit{soft, hard};
      if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) return "setrlimit";
      try {
        return std::to_string(spawn(options).pid());
      } catch (const Error& error) {
        return error.code();
      }
    });
    EXPECT_EQ(result.status, 0) << result.err;
    return result.out;
  }

  /// Tries every limit from kFewest to kMost; with `hard` the hard limit too.
  void spawn_with_every_limit(const SpawnOptions& options, bool hard) {
    const std::vector<std::string> before = names_in(pool().path());
    bool enough = false;
    for (rlim_t limit = kFewest; limit <= kMost; ++limit) {
      SCOPED_TRACE("limit " + std::to_string(limit));
      const std::string said = spawn_within(limit, hard ? limit : 4'096, options);
      if (said == "too_many_files") {
        EXPECT_FALSE(enough) << "with fewer it worked";
        EXPECT_EQ(names_in(pool().path()), before);
        EXPECT_TRUE(eventually([] { return other_processes().size() == 2; }, kOnItsWayOut))
            << "the bystander's";
        continue;
      }
      enough = true;
      const pid_t pid = std::atoi(said.c_str());
      ASSERT_GT(pid, 0) << said;
      Task task(pid, pool().path());
      EXPECT_EQ(task.call("ping"), "pong") << "a task that starts has what it needs to answer";
      EXPECT_EQ(task.info(true)["descendants"], 0);
      task.remove({.grace = Seconds(0)});
      EXPECT_EQ(names_in(pool().path()), before);
    }
    EXPECT_TRUE(enough);
  }
};

TEST_F(FewDescriptors, G1_G8_SpawnUnderALowSoftLimit) {
  spawn_with_every_limit({.exec = awkward_command({"sleep"})}, false);
}

TEST_F(FewDescriptors, G1_G8_SpawnUnderALowHardLimit) {
  spawn_with_every_limit({.exec = awkward_command({"sleep"})}, true);
}

TEST_F(FewDescriptors, G1_G8_SpawnOfAGuardedTaskWithALockUnderALowLimit) {
  spawn_with_every_limit({.exec = awkward_command({"sleep"}),
                          .lock_file = (base() / "lock").string(),
                          .on_supervisor_death = OnSupervisorDeath::kKill},
                         true);
}

class DescriptorsTaken : public FaultTest {
 protected:
  /// Lowers a supervisor's descriptor limit below the number it has open.
  void take_from(const Task& task) {
    before_ = limit_of(task.pid());
    set_limit(task.pid(), 3, before_.rlim_max);
  }
  void give_back(const Task& task) { set_limit(task.pid(), before_.rlim_cur, before_.rlim_max); }

 private:
  rlimit before_{};
};

TEST_F(DescriptorsTaken, G8_G14_ClientsThatAreInAreAnsweredOthersWaitAndNothingSpins) {
  Task task = awkward({"puppet"});
  RawClient inside(socket_of(task));
  EXPECT_EQ(inside.result("ping"), "pong");
  take_from(task);
  RawClient outside(socket_of(task));
  ASSERT_TRUE(outside.connected()) << "the kernel keeps it in the queue";
  const Json id = outside.request("ping");
  const int64_t ticks = ticks_of(task.pid());
  EXPECT_EQ(inside.result("wait", {{"timeout", 2}})["fired"], "timeout");
  EXPECT_LT(ticks_of(task.pid()) - ticks, ::sysconf(_SC_CLK_TCK) / 4) << "of two seconds";
  EXPECT_EQ(inside.result("ping"), "pong");
  EXPECT_EQ(inside.result("info")["status"]["state"], "running");
  EXPECT_FALSE(outside.receive(Milliseconds(50)).has_value());
  give_back(task);
  const auto reply = outside.receive();
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ((*reply)["id"], id);
  EXPECT_EQ((*reply)["result"], "pong");
}

TEST_F(DescriptorsTaken, G2_G4_G8_OutputAndEndOfTheChildAreTakenInAllTheSame) {
  Task task = awkward({"puppet"});
  RawClient client(socket_of(task));
  EXPECT_EQ(client.result("ping"), "pong");
  take_from(task);
  client.result("write", {{"stream", "stdin"}, {"data", "out hello\nexit 5\n"}});
  EXPECT_EQ(client.result("wait")["status"]["exit_code"], 5);
  EXPECT_EQ(e2e::bytes_of(client.result("read", {{"stream", "stdout"}})["data"]), "hello\n");
  EXPECT_EQ(error_word(client.call("restart")), "too_many_files");
  EXPECT_EQ(client.result("info")["status"]["state"], "exited");
  give_back(task);
  EXPECT_TRUE(eventually([&] {
    return pool().search({{"status", {{"state", "exited"}}}}).size() == 1;
  })) << "the status is published once it can be";
  EXPECT_EQ(client.result("restart")["restarted"], true);
}

// Without descriptors the processes of a task cannot be listed. An unreadable list is not an empty one.
TEST_F(DescriptorsTaken, G5_G6_G8_WhatNeedsTheTreeIsRefusedNotHalfDone) {
  Task task = awkward({"family", ""});
  const auto family = family_of(task, 4);
  RawClient client(socket_of(task));
  EXPECT_EQ(client.result("info")["descendants"], 3);
  take_from(task);
  EXPECT_EQ(error_word(client.call("kill", {{"signal", "TERM"}, {"scope", "tree"}})), "too_many_files");
  EXPECT_EQ(error_word(client.call("pause")), "too_many_files");
  EXPECT_EQ(error_word(client.call("delete", {{"grace", 0}})), "too_many_files");
  EXPECT_EQ(client.result("info")["descendants"], nullptr) << "not known is not none";
  EXPECT_EQ(client.result("kill", {{"signal", "CONT"}, {"scope", "process"}})["signalled"], 1);
  EXPECT_GE(client.result("kill", {{"signal", "CONT"}})["signalled"], 1) << "a group needs no lookup";
  for (const auto& [role, pid] : family)
    EXPECT_EQ(e2e::process_state(pid), 'S') << role;
  give_back(task);
  EXPECT_EQ(client.result("info")["descendants"], 3);
  EXPECT_EQ(client.result("delete", {{"grace", 0}})["survivors"], Json::array());
  for (const auto& [role, pid] : family)
    EXPECT_TRUE(e2e::gone(pid)) << role;
}

TEST_F(DescriptorsTaken, G6_G8_TermOutOfDescriptorsDeletesOnceThereAreSome) {
  Task task = awkward({"sleep"});
  const pid_t child = child_of(task);
  RawClient client(socket_of(task));
  EXPECT_EQ(client.result("ping"), "pong");
  take_from(task);
  ASSERT_TRUE(e2e::send_signal(task.pid(), SIGTERM));
  const int64_t ticks = ticks_of(task.pid());
  EXPECT_EQ(client.result("wait", {{"timeout", 1}})["fired"], "timeout");
  EXPECT_LT(ticks_of(task.pid()) - ticks, ::sysconf(_SC_CLK_TCK) / 4);
  EXPECT_FALSE(e2e::gone(child));
  give_back(task);
  EXPECT_TRUE(eventually([&] { return e2e::gone(task.pid()); }));
  EXPECT_TRUE(e2e::gone(child));
  EXPECT_EQ(names_in(pool().path()), std::vector<std::string>{std::to_string(bystander().pid())});
}

// A search that cannot read the pool must fail: an empty result would mean an empty pool. A gc that cannot
// check whether a child lives must treat it as alive.
TEST_F(FewDescriptors, G8_AClientOutOfDescriptorsSaysSo) {
  Task lost = awkward({"sleep"});
  const pid_t child = child_of(lost);
  kill_supervisor(lost);
  for (rlim_t limit = kFewest; limit <= 12; ++limit) {
    const e2e::ProgramResult result = e2e::in_child([&]() -> std::string {
      const rlimit few{limit, limit};
      if (::setrlimit(RLIMIT_NOFILE, &few) != 0) return "setrlimit";
      std::string said;
      try {
        pool().gc();
        said = std::to_string(pool().search(Json::object()).size());
      } catch (const Error& error) {
        said = error.code();
      }
      return said;
    });
    EXPECT_TRUE(result.out == "2" || result.out == "too_many_files") << limit << ": " << result.out;
    EXPECT_EQ(names_in(pool().path()).size(), 2u) << limit;
    EXPECT_FALSE(e2e::gone(child));
  }
}

}  // namespace
}  // namespace bgtask::faults
