// Random clients and randomly killed supervisors, while invariants are checked all the time.
// BGTASK_SOAK_SECONDS sets the duration, BGTASK_SEED repeats a run.
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <set>
#include <sstream>

#include "tests/faults/load_soak.h"

namespace bgtask::faults {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kClients = 4;
constexpr int64_t kMostMemoryKib = 64 * 1024;

double soak_seconds() {
  const char* given = std::getenv("BGTASK_SOAK_SECONDS");
  return given != nullptr ? std::strtod(given, nullptr) : scaled(10.0, 600.0);
}

/// Last seen positions of a stream; they never decrease.
struct Positions {
  uint64_t start = 0, consumed = 0, limit = 0, lost = 0;
};

class LoadSoak : public FaultTest {
 protected:
  std::string mount_options() const override { return "size=1g,mode=0755"; }

  void start_clients(Clock::time_point end) {
    ASSERT_EQ(::pipe2(reports_, O_CLOEXEC), 0);
    for (int i = 0; i < kClients; ++i) {
      const unsigned its_seed = seed() * kClients + static_cast<unsigned>(i);
      pids_.push_back(::fork());
      if (pids_.back() != 0) continue;
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      std::string report;
      try {
        report = SoakClient(pool(), awkward_command({"drum"}), its_seed, i).run(end);
      } catch (const std::exception& error) {
        report = std::string("WRONG: a client ends with ") + error.what() + "\n";
      }
      ::_exit(::write(reports_[1], report.data(), report.size()) < 0 ? 1 : 0);
    }
    ::close(reports_[1]);
  }

  /// Checks the invariants of every task.
  void look() {
    std::vector<SkippedEntry> skipped;
    for (Task& task : SoakClient::tasks(pool(), &skipped)) {
      Json info;
      try {
        info = task.info();
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), "not_found");  // deleted since it was found
        continue;
      }
      check_positions(info);
      if (info["status"]["state"] != "lost") check_answers(task);
    }
    for (const SkippedEntry& entry : skipped)
      ADD_FAILURE() << "a task that cannot be read: " << entry.name << ": " << entry.reason.what();
    ++looks_;
  }

  /// Collects the clients' reports and checks them.
  std::map<std::string, int> finish_clients() {
    std::string all;
    char buffer[4096];
    for (ssize_t n; (n = ::read(reports_[0], buffer, sizeof buffer)) > 0;)
      all.append(buffer, static_cast<size_t>(n));
    ::close(reports_[0]);
    for (const pid_t pid : pids_) {
      int status = 0;
      ::waitpid(pid, &status, 0);
      EXPECT_EQ(status, 0) << "a client crashed";
    }
    std::map<std::string, int> did;
    std::istringstream lines(all);
    for (std::string line; std::getline(lines, line);) {
      if (line.rfind("WRONG", 0) == 0) ADD_FAILURE() << line;
      const size_t equals = line.rfind('=');
      if (line.rfind("did ", 0) == 0) did[line.substr(4, equals - 4)] += std::atoi(line.c_str() + equals + 1);
    }
    return did;
  }

  /// Ends every remaining task, lost ones by adopting or gc.
  void end_all() {
    ASSERT_TRUE(eventually([this] { return settled(); })) << testing::PrintToString(other_processes());
    pool().gc();
    for (Task& task : SoakClient::tasks(pool())) {
      const Json info = task.info();
      SCOPED_TRACE(info.dump());
      if (info["status"]["state"] == "lost") {
        EXPECT_EQ(info["status"]["running"], true) << "what is lost and ended is collected";
        EXPECT_NO_THROW(pool().adopt(task.pid()).remove({.grace = Seconds(0)}));
      } else {
        EXPECT_NO_THROW(task.remove({.grace = Seconds(0)}));
      }
    }
    pool().gc();
    EXPECT_EQ(e2e::names_in(pool().path()), std::vector<std::string>{std::to_string(bystander().pid())});
    EXPECT_TRUE(eventually([] { return other_processes().size() == 2; }))
        << testing::PrintToString(other_processes());
  }
  int looks() const { return looks_; }

 private:
  /// Whether every supervisor that is there answers for a task, or stands guard above one that does: none
  /// that was killed last, and no guard that ends what it left, is on its way out.
  bool settled() {
    std::set<pid_t> known{bystander().pid(), e2e::parent_of(bystander().pid())};
    for (Task& task : SoakClient::tasks(pool())) {
      try {
        task.call("ping");
        known.insert({task.pid(), e2e::parent_of(task.pid())});
      } catch (const Error&) {  // lost, or about to be: then its process is gone, or is not known
      }
    }
    const std::vector<pid_t> others = other_processes();
    return std::none_of(others.begin(), others.end(),
                        [&](pid_t pid) { return SoakClient::is_supervisor(pid) && !known.contains(pid); });
  }
  void check_positions(const Json& info) {
    const std::string serial = info["meta"].value("serial", "none");
    const Json& stream = info["streams"]["stdout"];
    const Positions now{stream["start"].get<uint64_t>(), stream["consumed"].get<uint64_t>(),
                        stream["limit"].get<uint64_t>(), stream["lost"].get<uint64_t>()};
    Positions& last = positions_[serial];
    EXPECT_GE(now.start, last.start) << serial;
    EXPECT_GE(now.consumed, last.consumed) << serial;
    EXPECT_GE(now.limit, last.limit) << serial;
    EXPECT_GE(now.lost, last.lost) << serial;
    EXPECT_LE(now.start, now.consumed) << serial;
    EXPECT_LE(now.consumed, now.limit) << serial;
    last = now;
  }
  void check_answers(Task& task) {
    try {
      EXPECT_EQ(task.call("ping"), "pong");
      EXPECT_LT(e2e::process_number(task.pid(), "VmHWM"), kMostMemoryKib) << "memory is bounded";
    } catch (const Error& error) {
      EXPECT_TRUE(error.code() == "not_found" || error.code() == "lost")
          << task.pid() << ": " << error.code() << ": " << error.what();
    }
  }

  int reports_[2] = {-1, -1};
  std::vector<pid_t> pids_;
  std::map<std::string, Positions> positions_;
  int looks_ = 0;
};

TEST_F(LoadSoak, G2_G3_G6_G7_G9_WhateverClientsDoEveryTaskAnswersOrIsLostAndCanBeCollected) {
  const double seconds = soak_seconds();
  std::ostringstream again;
  again << "to repeat: BGTASK_SEED=" << seed() << " BGTASK_SOAK_SECONDS=" << seconds;
  std::cout << again.str() << std::endl;
  SCOPED_TRACE(again.str());
  const Clock::time_point end = Clock::now() + std::chrono::duration_cast<Clock::duration>(Seconds(seconds));
  start_clients(end);
  while (Clock::now() < end && !HasFailure()) {
    look();
    const timespec pause{0, 50'000'000};
    ::nanosleep(&pause, nullptr);
  }
  const std::map<std::string, int> did = finish_clients();
  for (const auto& [name, count] : did)
    std::cout << name << " " << count << ", ";
  std::cout << looks() << " looks" << std::endl;
  constexpr size_t kActs = 17;
  EXPECT_EQ(did.size(), kActs) << "each was done";
  EXPECT_GT(looks(), 10);
  end_all();
}

}  // namespace
}  // namespace bgtask::faults
