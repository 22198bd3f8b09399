#include <bgtask/task_pool.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "protocol/ring/byte_ring.h"
#include "protocol/ring/message_ring.h"
#include "tests/pool/support.h"

namespace bgtask {
namespace {

using test::HandMadePool;
using test::kSomeUser;
using Clock = std::chrono::steady_clock;

std::vector<pid_t> pids(const std::vector<Task>& tasks) {
  std::vector<pid_t> result;
  for (const Task& task : tasks)
    result.push_back(task.pid());
  return result;
}

Json state(const std::string& word) {
  return {{"status", {{"state", word}, {"running", word != "exited"}}}};
}

TEST(Search, FindsByPatternAndByPredicate) {
  HandMadePool dir;
  dir.add("101", true, {{"meta", {{"team", "web"}, {"n", 1}}}});
  dir.add("102", true, {{"meta", {{"team", "db"}, {"n", 2}}}});
  dir.add("103", true, state("exited"));
  TaskPool pool(dir.path());
  EXPECT_EQ(pids(pool.search(Json::object())), (std::vector<pid_t>{101, 102, 103}));
  EXPECT_EQ(pids(pool.search({{"meta", {{"team", "web"}}}})), std::vector<pid_t>{101});
  EXPECT_EQ(pids(pool.search({{"meta", {{"n", "2"}}}})), std::vector<pid_t>{102});
  EXPECT_EQ(pids(pool.search({{"status", {{"running", 1}}}})), (std::vector<pid_t>{101, 102}));
  EXPECT_EQ(pids(pool.search({{"status", {{"state", "exited"}}}})), std::vector<pid_t>{103});
  EXPECT_EQ(pids(pool.search({{"meta", {{"team", "none"}}}})), std::vector<pid_t>{});
  auto has_n = [](const Json& info) { return info.at("meta").at("n") > 1; };  // throws for 103
  EXPECT_EQ(pids(pool.search(has_n)), std::vector<pid_t>{102});
  EXPECT_EQ(pids(pool.search([](const Json&) -> bool { throw 1; })), std::vector<pid_t>{});
}

TEST(Search, TheFreeFunctionsUseTheDefaultPool) {
  HandMadePool dir;
  dir.add("101", true, {{"meta", {{"a", 1}}}});
  dir.add("102", true);
  EXPECT_EQ(test::in_child([&]() -> std::string {
              ::setenv("BGTASK_POOL", dir.path().c_str(), 1);
              bool good = search(Json::object()).size() == 2 && search({{"meta", {{"a", 1}}}}).size() == 1 &&
                          search([](const Json& info) { return info.at("pid") == 102; }).size() == 1;
              return good ? "" : "wrong";
            }),
            "");
}

TEST(Search, OldestFirst) {
  HandMadePool dir;
  dir.add("1", true, {{"started_at", 30.5}});
  dir.add("22", true, {{"started_at", 10}});
  dir.add("3", true, {{"started_at", 20.25}});
  dir.add("4", true, {{"started_at", 10}});
  dir.add("5", true, {{"started_at", "no number"}});
  EXPECT_EQ(pids(TaskPool(dir.path()).search(Json::object())), (std::vector<pid_t>{5, 4, 22, 3, 1}));
}

TEST(Search, DeadSupervisorsTasksAreLost) {
  HandMadePool dir;
  dir.add("101", false, {{"child_pid", ::getpid()}, {"supervision", test::supervision_of(::getpid())}});
  dir.add("102", false, state("exited"));
  dir.add("103", true);
  TaskPool pool(dir.path());
  EXPECT_EQ(pids(pool.search({{"status", {{"state", "lost"}}}})), (std::vector<pid_t>{101, 102}));
  EXPECT_EQ(pids(pool.search({{"status", {{"state", "lost"}, {"running", true}}}})), std::vector<pid_t>{101});
}

TEST(Search, FoundTasksHaveTheirInfoAtHand) {
  HandMadePool dir;
  dir.add("101", true, {{"meta", {{"a", 1}}}});
  std::vector<Task> found = TaskPool(dir.path()).search({{"meta", {{"a", 1}}}});
  ASSERT_EQ(found.size(), 1u);
  std::filesystem::remove(dir.entry("101") / "status");  // nothing can be read any more
  EXPECT_EQ(found[0].info().at("meta").at("a"), 1);
}

class SearchRings : public testing::Test {
 protected:
  SearchRings() {
    dir_.add("101", true, {{"persistent", true}, {"meta", {{"a", 1}}}});
    io::UniqueFd fd(::open(dir_.entry("101").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    for (const char* name : {"stdout", "stderr"}) {
      ring::ByteRing out(*ring::Storage::create_file(fd.get(), name, ring::Kind::kBytes, 4096),
                         {.capacity = 4096});
      out.append(std::as_bytes(std::span("twelve bytes", 12)));
    }
    uint64_t capacity = ring::MessageRing::capacity_for(4096);
    ring::MessageRing data(*ring::Storage::create_file(fd.get(), "data", ring::Kind::kMessages, capacity),
                           {.capacity = capacity});
  }
  HandMadePool dir_;
};

TEST_F(SearchRings, PositionsAreThoseOfTheRings) {
  TaskPool pool(dir_.path());
  EXPECT_EQ(pool.search({{"streams", {{"stdout", {{"limit", 12}}}}}}).size(), 1u);
  EXPECT_EQ(pool.search({{"streams", {{"stdout", {{"limit", 11}}}}}}).size(), 0u);
  auto has_twelve = [](const Json& info) { return info.at("streams").at("stdout").at("limit") == 12; };
  EXPECT_EQ(pool.search(has_twelve).size(), 1u);
  for (const Json& pattern : {Json::object(), Json{{"meta", {{"a", 1}}}}}) {
    std::vector<Task> found = pool.search(pattern);
    ASSERT_EQ(found.size(), 1u);
    EXPECT_EQ(found[0].info().at("streams").at("stdout").at("limit"), 12) << pattern;
  }
}

TEST(Search, WhatIsBeingMadeOrRemovedIsNoTaskAndNoFault) {
  HandMadePool dir;
  dir.add_unpublished("101", true);
  dir.add_unpublished("102", false);
  dir.add(".tmp-1", true);
  dir.add(".del-5-1", false);
  std::vector<SkippedEntry> skipped;
  EXPECT_TRUE(TaskPool(dir.path()).search(Json::object(), &skipped).empty());
  EXPECT_TRUE(skipped.empty());
}

// Every way in which an entry can be bad, each under a name of its own.
class HostilePool : public HandMadePool {
 public:
  HostilePool() {
    add("1001", true);
    std::filesystem::remove(entry("1001") / "status");
    EXPECT_EQ(::mkfifo((entry("1001") / "status").c_str(), 0600), 0);
    add("1002", true);
    std::filesystem::remove(entry("1002") / "lock");
    EXPECT_EQ(::mkfifo((entry("1002") / "lock").c_str(), 0600), 0);
    add("1003", true);
    std::filesystem::rename(entry("1003") / "status", path() / "status-elsewhere");
    std::filesystem::create_symlink(path() / "status-elsewhere", entry("1003") / "status");
    add("1004-real", true, {{"pid", 1004}});
    std::filesystem::create_directory_symlink(entry("1004-real"), entry("1004"));
    add("1005", true);
    EXPECT_EQ(::chown(entry("1005").c_str(), kSomeUser, kSomeUser), 0);
    add("1006", true);
    EXPECT_EQ(::chown((entry("1006") / "status").c_str(), kSomeUser, kSomeUser), 0);
    add("1007", true);
    EXPECT_EQ(::chmod(entry("1007").c_str(), 0777), 0);
    add("1008", true);
    write("1008", "status", "{\"pid\": 1008, ");
    add("1009", true);
    write("1009", "status", std::string(1'000'000, '['));
    add("1010", true);
    std::filesystem::resize_file(entry("1010") / "status", std::uintmax_t{1} << 40);
    add("1011", true);
    write("1011", "status", "[1, 2]");
    add("1012", true);
    write("1012", "status", "");
    add("1013", true);
    std::filesystem::remove(entry("1013") / "status");
    std::filesystem::create_directory(entry("1013") / "status");
    write_file("1014");
    EXPECT_EQ(::mkfifo(entry("1015").c_str(), 0600), 0);
    add("1016", true);
    std::filesystem::remove(entry("1016") / "lock");
    add("1017", true);
    write("1017", "status", R"({"a": ")" + std::string(100, '\xff') + R"("})");
    add("1018", true);
    std::filesystem::remove(entry("1018") / "status");
    listen_at(entry("1018") / "status");
    expected = {"1001",      "1002",
                "1003",      "1004",
                "1004-real", "1005",
                "1006",      "1007",
                "1008",      "1009",
                "1010",      "1011",
                "1012",      "1013",
                "1014",      "1015",
                "1016",      "1017",
                "1018",      "0999",
                "not a pid", "status-elsewhere"};
    add("0999", true);
    std::filesystem::create_directory(entry("not a pid"));
  }

  std::set<std::string> expected;

 private:
  void write_file(const std::string& name) const { write(".", name, "not a directory"); }
  static void listen_at(const std::filesystem::path& path) {
    io::UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.string().copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }
};

TEST(Search, BadEntriesAreSkippedAndNamedAndHoldNothingUp) {
  HostilePool dir;
  std::vector<pid_t> good;
  for (int i = 0; i < 180; ++i) {
    good.push_back(2000 + i);
    dir.add(std::to_string(good.back()), i % 3 != 0, {{"started_at", i}});
  }
  std::vector<SkippedEntry> skipped;
  auto begin = Clock::now();
  std::vector<Task> found = TaskPool(dir.path()).search(Json::object(), &skipped);
  EXPECT_LT(Clock::now() - begin, std::chrono::seconds(20));
  EXPECT_EQ(pids(found), good);
  std::set<std::string> named;
  for (const SkippedEntry& entry : skipped) {
    EXPECT_FALSE(entry.reason.code().empty()) << entry.name;
    EXPECT_FALSE(std::string(entry.reason.what()).empty()) << entry.name;
    EXPECT_TRUE(named.insert(entry.name).second) << entry.name << " twice";
  }
  EXPECT_EQ(named, dir.expected);
}

TEST(Search, StrangeDocumentsDoNotBreakIt) {
  HandMadePool dir;
  const char* documents[] = {
      R"({"persistent": false})",
      R"({"persistent": false, "status": 1, "streams": [], "child_pid": "x", "supervision": null})",
      R"({"persistent": false, "child_pid": 1, "supervision": {"boot_id": 1, "child_start": -1}})",
      R"({"persistent": false, "pid": {}, "started_at": [], "former_pids": 3, "meta": null})"};
  int id = 101;
  for (const char* document : documents) {
    dir.add(std::to_string(id), false);
    dir.write(std::to_string(id++), "status", document);
  }
  TaskPool pool(dir.path());
  EXPECT_EQ(pids(pool.search({{"status", {{"state", "lost"}}}})), (std::vector<pid_t>{101, 102, 103, 104}));
  EXPECT_EQ(pids(pool.search({{"meta", nullptr}})), std::vector<pid_t>{104});
  EXPECT_FALSE(pool.task(9999));
}

TEST(Search, APublishedTaskWithoutItsRingsIsNamed) {
  HandMadePool dir;
  dir.add("101", true, {{"persistent", true}});
  std::vector<SkippedEntry> skipped;
  const TaskPool pool(dir.path());
  EXPECT_TRUE(pool.search([](const Json&) { return true; }, &skipped).empty());
  ASSERT_EQ(skipped.size(), 1u);
  EXPECT_EQ(skipped[0].name, "101");
  EXPECT_TRUE(pool.search({{"streams", {{"stdout", {{"lost", 0}}}}}}, &skipped).empty());
  EXPECT_EQ(skipped.size(), 2u);
  // Who asks for no stream does not look at them.
  EXPECT_EQ(pool.search(Json::object()).size(), 1u);
}

TEST(Search, AShortageOfOnesOwnIsNotTheTasksFault) {
  HandMadePool dir;
  dir.add("101", true);
  EXPECT_EQ(test::in_child([&]() -> std::string {
              TaskPool pool(dir.path());
              std::vector<int> fillers;
              for (int fd; (fd = ::dup(2)) >= 0;)
                fillers.push_back(fd);
              for (int free = 0; free < 3; ++free) {
                std::vector<SkippedEntry> skipped;
                try {
                  if (pool.search(Json::object(), &skipped).empty())
                    return std::to_string(free) + " free: none found";
                } catch (const Error& error) {
                  if (error.code() != "too_many_files") return error.code();
                }
                ::close(fillers[static_cast<size_t>(free)]);
              }
              return "";
            }),
            "");
}

// Enough of them for several threads. Every seventh cannot be read.
class ManyTasks : public testing::Test {
 protected:
  ManyTasks() {
    for (int id = 1000; id < 1000 + kTasks; ++id) {
      const std::string name = std::to_string(id);
      dir_.add(name, id % 3 != 0, {{"started_at", id * 7919 % 101}, {"meta", {{"even", id % 2 == 0}}}});
      if (id % 7 == 0) dir_.write(name, "status", "{" + name);
    }
  }

  static constexpr int kTasks = 300;
  HandMadePool dir_;
};

std::vector<std::pair<std::string, std::string>> reasons(const std::vector<SkippedEntry>& skipped) {
  std::vector<std::pair<std::string, std::string>> result;
  for (const SkippedEntry& entry : skipped)
    result.emplace_back(entry.name, entry.reason.what());
  return result;
}

TEST_F(ManyTasks, AreFoundAsOneAfterTheOther) {
  const TaskPool pool(dir_.path());
  for (const Json& pattern : {Json::object(), Json{{"meta", {{"even", 1}}}}, Json{{"meta", {{"even", 2}}}}}) {
    std::vector<SkippedEntry> skipped_together, skipped_alone;
    const auto together = pool.search(pattern, &skipped_together);
    const auto alone = pool.search([&](const Json& info) { return matches(pattern, info); }, &skipped_alone);
    EXPECT_EQ(pids(together), pids(alone));
    EXPECT_EQ(reasons(skipped_together), reasons(skipped_alone));
    EXPECT_EQ(skipped_together.size(), 43u);
  }
}

TEST_F(ManyTasks, APredicateIsCalledOnTheCallersThread) {
  int calls = 0;
  TaskPool(dir_.path()).search([&, caller = ::gettid()](const Json&) {
    EXPECT_EQ(::gettid(), caller);
    ++calls;
    return true;
  });
  EXPECT_EQ(calls, kTasks - 43);
}

TEST_F(ManyTasks, SeveralThreadsNeedNoMoreDescriptorsThanOne) {
  EXPECT_EQ(test::in_child([&]() -> std::string {
              const TaskPool pool(dir_.path());
              std::vector<int> fillers;
              for (int fd; (fd = ::dup(2)) >= 0;)
                fillers.push_back(fd);
              for (size_t free = 0; free < 12; ++free) {
                ::close(fillers[free]);
                try {
                  pool.search([](const Json&) { return true; });
                } catch (const Error&) {
                  continue;
                }
                for (int again = 0; again < 5; ++again) {
                  if (pool.search(Json::object()).size() != kTasks - 43)
                    return std::to_string(free) + " free";
                }
              }
              return "";
            }),
            "");
}

// Whether the command of a lost task still runs takes descriptors, too.
TEST(LostTasks, AreAllFoundByTheirStateOrNoneIs) {
  constexpr size_t kLost = 80;
  HandMadePool dir;
  for (size_t i = 0; i < kLost; ++i) {
    dir.add(std::to_string(1000 + i), false,
            {{"child_pid", ::getpid()}, {"supervision", test::supervision_of(::getpid())}});
  }
  EXPECT_EQ(test::in_child([&]() -> std::string {
              const TaskPool pool(dir.path());
              const Json running{{"status", {{"running", true}}}};
              std::vector<int> fillers;
              for (int fd; (fd = ::dup(2)) >= 0;)
                fillers.push_back(fd);
              size_t found = 0;
              for (size_t free = 0; free < 12; ++free) {
                ::close(fillers[free]);
                for (int again = 0; again < 20; ++again) {
                  try {
                    found = pool.search(running).size();
                    if (found != kLost) return std::to_string(free) + " free: " + std::to_string(found);
                  } catch (const Error& error) {
                    if (error.code() != "too_many_files") return error.code();
                  }
                }
              }
              return found == kLost ? "" : "none in the end";
            }),
            "");
}

TEST(FindTask, BySupervisorChildAndFormerPid) {
  HandMadePool dir;
  dir.add("101", true, {{"child_pid", ::getpid()}, {"supervision", test::supervision_of(::getpid())}});
  dir.add("102", true, {{"former_pids", {99, 98}}});
  TaskPool pool(dir.path());
  ASSERT_TRUE(pool.task(101));
  EXPECT_EQ(pool.task(101)->pid(), 101);
  ASSERT_TRUE(pool.task(::getpid()));
  EXPECT_EQ(pool.task(::getpid())->pid(), 101);
  ASSERT_TRUE(pool.task(98));
  EXPECT_EQ(pool.task(98)->pid(), 102);
  EXPECT_FALSE(pool.task(103));
  EXPECT_FALSE(pool.task(0));
  EXPECT_FALSE(pool.task(-1));
}

TEST(FindTask, ABadEntryIsAnError) {
  HandMadePool dir;
  std::filesystem::create_directory_symlink("/", dir.entry("101"));
  TaskPool pool(dir.path());
  EXPECT_THROW(pool.task(101), Error);
}

TEST(Adopt, NeedsADeadSupervisor) {
  HandMadePool dir;
  dir.add("101", true);
  TaskPool pool(dir.path());
  auto code = [&](pid_t pid) -> std::string {
    try {
      pool.adopt(pid);
    } catch (const Error& error) {
      return error.code();
    }
    return "adopted";
  };
  EXPECT_EQ(code(101), "running");
  EXPECT_EQ(code(102), "not_found");
}

}  // namespace
}  // namespace bgtask
