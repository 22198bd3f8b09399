// Every allocation of the supervisor and of the spawning program fails in turn: the result is a typed error
// or success, and no process dies of it.
#include <algorithm>

#include "tests/faults/exhaustion_requests.h"

namespace bgtask::faults {
namespace {

using e2e::names_in;
using e2e::RawClient;

class FailingAllocations : public RequestTest {
 protected:
  /// Number of allocations that `act` makes.
  int64_t allocations_of(const std::function<void()>& act) {
    control().allocations_left = -1;
    control().allocations_seen = 0;
    act();
    return control().allocations_seen.load();
  }
  /// Fails `count` allocations from the nth (from 0) on while something is done; whether any failed.
  bool with_failure_at(int64_t nth, int64_t count, const std::function<void()>& act) {
    control().failures = 0;
    control().failures_left = count;
    control().allocations_left = nth;
    act();
    control().allocations_left = -1;
    return control().failures.load() > 0;
  }

  /// Fails each allocation (or some, evenly spread) and `failures - 1` after it.
  void fail_each_allocation_of(const RequestKind& kind, const TaskPool& in, int64_t failures, int64_t tries) {
    SCOPED_TRACE(kind.name);
    const int failed = failed_checks();
    std::optional<Task> task(task_for(kind, in));
    const int64_t count = allocations_of([&] {
      RawClient client(socket_of(*task), failures > 1 ? e2e::Encoding::kMsgpack : e2e::Encoding::kJson);
      expect_typed(ask(client, kind));
    });
    if (kind.needs_fresh) end(*task), task.reset();
    EXPECT_GT(count, 0);
    const int64_t step = std::max<int64_t>(1, count / scaled<int64_t>(tries, failures > 1 ? 100 : 10'000));
    for (int64_t nth = 0; nth < count; nth += step) {
      SCOPED_TRACE("allocation " + std::to_string(nth));
      if (!task) task.emplace(task_for(kind, in));
      Json reply;
      with_failure_at(nth, failures, [&] {
        RawClient client(socket_of(*task), failures > 1 ? e2e::Encoding::kMsgpack : e2e::Encoding::kJson);
        ASSERT_TRUE(client.connected());
        reply = ask(client, kind);
      });
      expect_typed(reply);
      expect_works(*task, kind, reply);
      if (failed_checks() != failed) return static_cast<void>(ADD_FAILURE() << reply);
      if (kind.needs_fresh) end(*task), task.reset();
    }
    if (task) end(*task);
  }
};

TEST_F(FailingAllocations, G8_OfEveryRequest) {
  const TaskPool in = controlled();
  for (const RequestKind& kind : request_kinds())
    fail_each_allocation_of(kind, in, 1, kind.needs_fresh ? 8 : 25);
}

// A shortage that lasts: the supervisor waits for memory where it cannot refuse the request.
TEST_F(FailingAllocations, G8_OfEveryRequestManyInARow) {
  constexpr int64_t kMany = 5;
  const TaskPool in = controlled();
  for (const RequestKind& kind : request_kinds())
    fail_each_allocation_of(kind, in, kMany, 4);
}

TEST_F(FailingAllocations, G2_G4_G8_WhileOutputIsTakenInAndTheChildEnds) {
  const TaskPool in = controlled();
  const auto run_once = [&] {
    Task task = in.spawn({.exec = awkward_command({"puppet"})});
    return task;
  };
  const auto live = [&](Task& task) {
    RawClient client(socket_of(task));
    client.request("write", {{"stream", "stdin"}, {"data", "pattern 0 200000\ndata m\nexit 9\n"}});
    EXPECT_TRUE(eventually([&] {
      const Json status = task.snapshot()["status"];
      return status["state"] == "exited" && status["exit_code"] == 9;
    }));
  };
  Task first = run_once();
  const int64_t count = allocations_of([&] { live(first); });
  first.remove();
  for (int64_t nth = 40; nth < count; nth += std::max<int64_t>(1, count / scaled(15, 1'000))) {
    SCOPED_TRACE("allocation " + std::to_string(nth));
    Task task = run_once();
    with_failure_at(nth, 1, [&] { live(task); });
    const ReadResult read = task.stream("stdout").read();
    EXPECT_EQ(read.limit, 200'000u);
    EXPECT_EQ(read.lost, 0u);
    EXPECT_EQ(task.stream("data").limit(), 1u);
    task.remove();
  }
}

TEST_F(FailingAllocations, G1_G8_OfASpawnInTheSupervisor) {
  const TaskPool in = controlled();
  const auto spawn_once = [&]() -> std::string {
    try {
      Task task = in.spawn({.exec = awkward_command({"sleep"})});
      control().allocations_left = -1;
      EXPECT_EQ(task.info(true)["status"]["state"], "running");
      task.remove({.grace = Seconds(0)});
      return "";
    } catch (const Error& error) {
      return error.code();
    }
  };
  const int64_t count = allocations_of([&] { EXPECT_EQ(spawn_once(), ""); });
  for (const int64_t failures : {1, 20}) {
    for (int64_t nth = 0; nth < count; nth += std::max<int64_t>(1, count / scaled(60, 10'000))) {
      SCOPED_TRACE("allocation " + std::to_string(nth) + " of " + std::to_string(count));
      std::string word;
      with_failure_at(nth, failures, [&] { word = spawn_once(); });
      // "lost": the loader runs before the supervisor's first instruction and cannot report its want of
      // memory.
      EXPECT_TRUE(word.empty() || word == "no_memory" || word == "lost") << word;
      EXPECT_EQ(names_in(pool().path()), std::vector<std::string>{std::to_string(bystander().pid())});
      EXPECT_TRUE(eventually([] { return other_processes().size() == 2; }))
          << testing::PrintToString(other_processes());
    }
  }
}

TEST_F(FailingAllocations, G1_G8_OfTheProgramThatSpawns) {
  controlled();
  const std::map<std::string, std::string> preloaded = {{"LD_PRELOAD", BGTASK_PRELOAD},
                                                        {kControlVariable, (base() / "control").string()},
                                                        {"BGTASK_SUPERVISOR", BGTASK_SUPERVISOR_PROGRAM}};
  const auto run = [&] {
    return e2e::run_program({BGTASK_DYNAMIC_PROGRAM, "run", "--", "/bin/sleep", "1000"}, {.env = preloaded});
  };
  const auto remove_all = [&] {
    for (Task& task : pool().search({{"command", {"/bin/sleep", "1000"}}}))
      task.remove({.grace = Seconds(0)});
  };
  const int64_t count = allocations_of([&] { EXPECT_EQ(run().status, 0); });
  remove_all();
  for (int64_t nth = 0; nth < count; nth += std::max<int64_t>(1, count / scaled(60, 10'000))) {
    SCOPED_TRACE("allocation " + std::to_string(nth) + " of " + std::to_string(count));
    e2e::ProgramResult result;
    with_failure_at(nth, 1, [&] { result = run(); });
    const size_t tasks = pool().search({{"command", {"/bin/sleep", "1000"}}}).size();
    // A document's destructor allocates (nlohmann/json 3.11); when that fails the program terminates.
    const bool ended = result.status == 128 + SIGABRT && result.err.find("bad_alloc") != std::string::npos;
    EXPECT_TRUE(ended ? tasks <= 1 : tasks == (result.status == 0 ? 1u : 0u))
        << tasks << " tasks, " << result.status << " " << result.out << result.err;
    EXPECT_EQ(names_in(pool().path()).size(), 1 + tasks);
    EXPECT_TRUE(result.status == 0 || !result.err.empty()) << result.status;
    remove_all();
    EXPECT_TRUE(eventually([] { return other_processes().size() == 2; }));
  }
}

}  // namespace
}  // namespace bgtask::faults
