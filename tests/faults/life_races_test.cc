// Several clients at once: every call returns a result or a fitting error, and the final state is consistent.
#include <atomic>
#include <csignal>
#include <fstream>
#include <random>
#include <set>
#include <thread>

#include "tests/faults/life_fixture.h"

namespace bgtask::faults {
namespace {

class LifeOfRaces : public LifeTest {
 protected:
  /// Runs `act` in `count` threads at once, each with its number.
  static void at_once(int count, const std::function<void(int)>& act) {
    std::atomic<int> waiting = count;
    std::vector<std::thread> threads;
    for (int i = 0; i < count; ++i) {
      threads.emplace_back([&, i] {
        --waiting;
        while (waiting.load() > 0)
          std::this_thread::yield();
        act(i);
      });
    }
    for (std::thread& thread : threads)
      thread.join();
  }
};

struct Step {
  const char* name;
  void (*act)(Task&);
  std::set<std::string> words;  ///< "" is success
};

// After a delete, a client learns that the task is gone, or that it vanished during the request.
const std::set<std::string> kGone = {"not_found", "lost"};
// While a restart, a stop or a delete of the other client is in progress.
constexpr char kBusy[] = "busy";

const Step kSteps[] = {
    {"kill", [](Task& task) { task.kill("TERM"); }, {"", "already_exited"}},
    {"kill tree", [](Task& task) { task.kill("KILL", Scope::kTree); }, {"", "already_exited"}},
    {"pause", [](Task& task) { task.pause(); }, {"", "already_exited"}},
    {"resume", [](Task& task) { task.resume(); }, {"", "already_exited"}},
    // exec_failed: the other client ended the new process before its exec.
    {"restart", [](Task& task) { task.restart(); }, {"", "exec_failed"}},
    {"stop", [](Task& task) { task.stop({.grace = Seconds(0)}); }, {""}},
    {"delete", [](Task& task) { task.remove({.grace = Seconds(0)}); }, {""}},
};

TEST_F(LifeOfRaces, G5_G6_TwoClientsKillRestartAndDelete) {
  const int rounds = scaled(60, 2'000);
  std::mt19937 random(seed());
  int deleted_rounds = 0;
  for (int round = 0; round < rounds; ++round) {
    Task task = awkward({"sleep"});
    const unsigned seeds[] = {static_cast<unsigned>(random()), static_cast<unsigned>(random())};
    std::vector<std::string> told[2];
    std::atomic<int> deletes = 0;
    at_once(2, [&](int client) {
      Task own(task.pid(), pool().path());
      std::mt19937 choice(seeds[client]);
      for (int i = 0; i < 6; ++i) {
        // Few deletes, so that most rounds exercise the other calls too.
        const size_t last = choice() % 8 == 0 ? 6 : choice() % 6;
        const Step& step = kSteps[last];
        std::string word;
        try {
          step.act(own);
        } catch (const Error& error) {
          word = error.code();
        }
        if (last == 6 && word.empty()) ++deletes;
        told[client].push_back(std::string(step.name) + ": " + word);
        const bool expected = step.words.contains(word) || kGone.contains(word) || word == kBusy;
        if (!expected) ADD_FAILURE() << "round " << round << ", " << step.name << ": " << word;
      }
    });
    SCOPED_TRACE("round " + std::to_string(round) + ": " + testing::PrintToString(told[0]) +
                 testing::PrintToString(told[1]));
    if (deletes > 0) {
      ++deleted_rounds;
    } else {
      for (const auto& one : told) {
        for (const std::string& line : one)
          EXPECT_FALSE(kGone.contains(line.substr(line.find(": ") + 2))) << "but nobody deleted it";
      }
      // All agree, and /proc agrees with them.
      EXPECT_TRUE(eventually([&] {
        const Json info = task.info(true);
        if (info["child_pid"].is_null()) return info["status"]["state"] == "exited";
        const char state = e2e::process_state(info["child_pid"].get<pid_t>());
        return info["status"]["state"] == (state == 'T' ? "paused" : "running") && state != 'Z' && state != 0;
      })) << task.info(true);
      EXPECT_EQ(task.info(true)["descendants"], 0);
      task.remove({.grace = Seconds(0)});
    }
    expect_only_bystander();
    if (HasFailure()) break;
  }
  EXPECT_GT(deleted_rounds, rounds / 10);
  EXPECT_LT(deleted_rounds, rounds);
}

TEST_F(LifeOfRaces, G6_ManyWhoDeleteGetTheSameReceiptOrFindItGone) {
  const int rounds = scaled(15, 300);
  for (int round = 0; round < rounds; ++round) {
    Task task = awkward({"family"});
    family_of(task, 4);
    constexpr int kClients = 4;
    std::string words[kClients];
    RemoveReceipt receipts[kClients];
    at_once(kClients, [&](int client) {
      Task own(task.pid(), pool().path());
      words[client] = word_of([&] { receipts[client] = own.remove({.grace = e2e::kNoHurry}); });
    });
    int done = 0;
    for (int client = 0; client < kClients; ++client) {
      if (!words[client].empty()) {
        EXPECT_TRUE(words[client] == "not_found" || words[client] == "lost") << words[client];
        continue;
      }
      ++done;
      EXPECT_EQ(receipts[client].signalled, 4u);
      EXPECT_EQ(receipts[client].exited, 4u);
      EXPECT_EQ(receipts[client].survivors, std::vector<pid_t>());
    }
    EXPECT_GE(done, 1);
    expect_only_bystander();
    if (HasFailure()) break;
  }
}

TEST_F(LifeOfRaces, G7_OfManyWhoAdoptExactlyOneIsInCharge) {
  const int rounds = scaled(25, 500);
  for (int round = 0; round < rounds; ++round) {
    Task task = awkward({"sleep"});
    const pid_t former = task.pid();
    const pid_t child = child_of(task);
    ASSERT_NO_FATAL_FAILURE(end_supervisor(former));
    constexpr int kClients = 3;
    pid_t ids[kClients] = {};
    std::string words[kClients];
    at_once(kClients,
            [&](int client) { words[client] = word_of([&] { ids[client] = pool().adopt(former).pid(); }); });
    int winners = 0;
    pid_t id = 0;
    for (int client = 0; client < kClients; ++client) {
      if (words[client].empty()) {
        ++winners;
        id = ids[client];
      } else {
        EXPECT_TRUE(words[client] == "running" || words[client] == "not_found") << words[client];
      }
    }
    EXPECT_EQ(winners, 1) << testing::PrintToString(words);
    EXPECT_EQ(e2e::names_in(pool().path()).size(), 2u) << "one directory for one task";
    Task adopted(former, pool().path());
    EXPECT_EQ(adopted.info(true)["pid"], id);
    EXPECT_EQ(adopted.info(true)["child_pid"], child);
    EXPECT_EQ(adopted.kill("TERM", Scope::kTree), 1u);
    EXPECT_EQ(wait_exit(adopted)["running"], false);
    adopted.remove({.grace = Seconds(0)});
    expect_only_bystander();
    if (HasFailure()) break;
  }
}

TEST_F(LifeOfRaces, G7_AdoptDeleteAndGcOfALostTask) {
  const int rounds = scaled(25, 500);
  for (int round = 0; round < rounds; ++round) {
    Task task = shell("exit 0");
    wait_exit(task);
    const pid_t former = task.pid();
    ASSERT_NO_FATAL_FAILURE(end_supervisor(former));
    std::string words[3];
    std::vector<pid_t> collected;
    at_once(3, [&](int client) {
      if (client == 0) words[0] = word_of([&] { pool().adopt(former); });
      if (client == 1) words[1] = word_of([&] { Task(former, pool().path()).remove(); });
      if (client == 2) words[2] = word_of([&] { collected = pool().gc(); });
    });
    SCOPED_TRACE(testing::PrintToString(words) + testing::PrintToString(collected));
    EXPECT_TRUE(words[0].empty() || words[0] == "running" || words[0] == "not_found") << words[0];
    // "running": the adopter's supervisor, or gc, holds the lock.
    EXPECT_TRUE(words[1].empty() || words[1] == "running" || words[1] == "not_found" || words[1] == "lost")
        << words[1];
    EXPECT_EQ(words[2], "");
    const bool somebody_did = words[0].empty() || words[1].empty() || !collected.empty();
    EXPECT_TRUE(somebody_did);
    remove_whatever_it_is(former);
    pool().gc();
    expect_only_bystander();
    if (HasFailure()) break;
  }
}

}  // namespace
}  // namespace bgtask::faults
