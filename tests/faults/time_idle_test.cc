// An idle task uses no processor time at all.
#include <time.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "tests/faults/fault_test.h"

namespace bgtask::faults {
namespace {

using Idle = FaultTest;

int64_t switches_of(const std::vector<Task>& tasks) {
  int64_t sum = 0;
  for (const Task& task : tasks) {
    sum += e2e::process_number(task.pid(), "voluntary_ctxt_switches");
    sum += e2e::process_number(task.pid(), "nonvoluntary_ctxt_switches");
  }
  return sum;
}

TEST_F(Idle, G14_NoSupervisorWakesUp) {
  const int count = scaled(30, 300);
  const timespec watch{scaled(3, 60), 0};
  std::vector<Task> tasks;
  for (int i = 0; i < count; ++i)
    tasks.push_back(awkward({"sleep"}));
  // Running, paused, ended, recently queried: all idle.
  tasks[0].pause();
  tasks[1].kill();
  wait_exit(tasks[1]);
  tasks[2].info(true);
  for (Task& task : tasks)
    task.disconnect();
  int64_t before = -1;
  ASSERT_TRUE(eventually([&] {
    const bool at_rest =
        std::all_of(tasks.begin(), tasks.end(), [](const Task& task) { return e2e::at_rest(task.pid()); });
    const int64_t now = switches_of(tasks);
    return std::exchange(before, now) == now && at_rest;
  })) << "they come to rest";
  // The test measures a period in which nothing may happen, so there is no condition to wait for.
  ::nanosleep(&watch, nullptr);
  EXPECT_EQ(switches_of(tasks), before);
  // And a search wakes none of them. (One of ours has ended, and the bystander runs.)
  EXPECT_EQ(pool().search({{"status", {{"running", true}}}}).size(), tasks.size());
  EXPECT_EQ(bgtask({"ls"}).status, 0);
  EXPECT_EQ(switches_of(tasks), before);
}

}  // namespace
}  // namespace bgtask::faults
