// Many tasks and many concurrent spawners: each task is distinct and reachable, none is confused with
// another.
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <set>
#include <sstream>

#include "tests/faults/fault_test.h"

namespace bgtask::faults {
namespace {

class LoadMany : public FaultTest {
 protected:
  std::string mount_options() const override { return "size=4g,mode=0755"; }

  Task spawn_numbered(int number) const {
    return awkward({"puppet"},
                   {.meta = {{"load", "yes"}, {"number", number}, {"group", number % 4}}, .buffer = 65'536});
  }
  std::vector<Task> all() const { return pool().search({{"meta", {{"load", "yes"}}}}); }
  void expect_only_the_bystander() {
    EXPECT_EQ(e2e::names_in(pool().path()), std::vector<std::string>{std::to_string(bystander().pid())});
    EXPECT_TRUE(eventually([] { return other_processes().size() == 2; }))
        << other_processes().size() << " processes";
  }
};

TEST_F(LoadMany, G3_G5_G6_AThousandTasksAreFoundAskedSignalledAndDeleted) {
  const int count = scaled(300, 1'000);
  std::map<pid_t, int> numbers;
  for (int i = 0; i < count; ++i)
    numbers[spawn_numbered(i).pid()] = i;
  ASSERT_EQ(numbers.size(), static_cast<size_t>(count)) << "no two have the same id";
  EXPECT_EQ(all().size(), numbers.size());
  const e2e::ProgramResult listed = bgtask({"ls", "-l", "load=yes", "-o", "json"});
  EXPECT_EQ(Json::parse(listed.out).size(), numbers.size()) << listed.err;

  for (Task& task : all()) {
    const int number = numbers.at(task.pid());
    EXPECT_EQ(task.info(true)["meta"]["number"], number);
    task.stream("stdin").write_all("out " + std::to_string(number) + "\n");
    task.disconnect();
  }
  for (Task& task : all()) {
    const std::string expected = std::to_string(numbers.at(task.pid())) + "\n";
    ASSERT_TRUE(wait_limit(task, "stdout", expected.size()));
    EXPECT_EQ(task.stream("stdout").peek().data, expected);
  }

  const e2e::ProgramResult killed = bgtask({"kill", "-s", "TERM", "-l", "load=yes", "-l", "group=2"});
  EXPECT_EQ(killed.status, 0) << killed.err;
  const auto of_state = [&](const char* state) {
    return pool().search({{"meta", {{"load", "yes"}}}, {"status", {{"state", state}}}}).size();
  };
  EXPECT_TRUE(eventually([&] { return of_state("exited") == numbers.size() / 4; })) << of_state("exited");
  EXPECT_EQ(of_state("running"), numbers.size() - numbers.size() / 4);
  for (Task& task : all()) {
    const bool hit = numbers.at(task.pid()) % 4 == 2;
    EXPECT_EQ(task.info()["status"]["state"], hit ? "exited" : "running") << "each target, and no other";
    if (hit) {
      EXPECT_EQ(task.info()["status"]["signal"], "TERM");
    }
  }
  EXPECT_EQ(zombies_of_supervisors(), std::vector<pid_t>());
  expect_bystander_unharmed();

  const e2e::ProgramResult deleted = bgtask({"delete", "-l", "load=yes"});
  EXPECT_EQ(deleted.status, 0) << deleted.err;
  expect_only_the_bystander();
}

/// Starts `count` processes that wait for each other and then run `body`. Returns their reports and the
/// number of failures.
std::pair<std::string, int> all_at_once(int count, const std::function<std::string(int)>& body) {
  int gate[2], reports[2];
  EXPECT_EQ(::pipe2(gate, O_CLOEXEC), 0);
  EXPECT_EQ(::pipe2(reports, O_CLOEXEC), 0);
  std::vector<pid_t> pids;
  for (int i = 0; i < count; ++i) {
    pids.push_back(::fork());
    if (pids.back() != 0) continue;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::close(gate[1]);
    char end;
    (void)!::read(gate[0], &end, 1);  // until the gate is closed
    std::string report;
    int status = 0;
    try {
      report = body(i);
    } catch (const std::exception& error) {
      report = std::string("failed: ") + error.what() + "\n";
      status = 1;
    }
    if (::write(reports[1], report.data(), report.size()) < 0) status = 2;  // short, so in one piece
    ::_exit(status);
  }
  ::close(gate[0]);
  ::close(gate[1]);
  ::close(reports[1]);
  std::string all;
  char buffer[4096];
  for (ssize_t n; (n = ::read(reports[0], buffer, sizeof buffer)) > 0;)
    all.append(buffer, static_cast<size_t>(n));
  ::close(reports[0]);
  int failures = 0;
  for (const pid_t pid : pids) {
    int status = 0;
    ::waitpid(pid, &status, 0);
    failures += status == 0 ? 0 : 1;
  }
  return {all, failures};
}

TEST_F(LoadMany, G1_ManyProcessesSpawnAtTheSameTime) {
  const int processes = scaled(20, 50);
  const int each = scaled(5, 10);
  const auto [report, failures] = all_at_once(processes, [&](int process) {
    std::string lines;
    for (int i = 0; i < each; ++i) {
      const int number = process * each + i;
      lines += std::to_string(spawn_numbered(number).pid()) + " " + std::to_string(number) + "\n";
    }
    return lines;
  });
  EXPECT_EQ(failures, 0) << report;
  std::map<pid_t, int> numbers;
  std::istringstream lines(report);
  pid_t pid = 0;
  for (int number = 0; lines >> pid >> number;)
    numbers[pid] = number;
  ASSERT_EQ(numbers.size(), static_cast<size_t>(processes * each)) << "no two have the same id";
  std::set<pid_t> children;
  for (Task& task : all()) {
    EXPECT_EQ(task.info(true)["meta"]["number"], numbers.at(task.pid()));
    EXPECT_EQ(task.info()["status"]["state"], "running");
    EXPECT_TRUE(children.insert(task.info()["child_pid"].get<pid_t>()).second);
    task.disconnect();
  }
  EXPECT_EQ(children.size(), numbers.size());
  // As many processes delete them, each the task of another.
  const auto [deleted, not_deleted] = all_at_once(processes, [&](int process) {
    for (const auto& [id, number] : numbers) {
      if (number % processes == process) Task(id, pool().path()).remove();
    }
    return std::string();
  });
  EXPECT_EQ(not_deleted, 0) << deleted;
  expect_only_the_bystander();
}

}  // namespace
}  // namespace bgtask::faults
