// Finding tasks among many, whatever state they and the pool are in.
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "tests/e2e/fixture.h"

namespace bgtask::e2e {
namespace {

using SearchTest = E2eTest;

std::set<pid_t> pids_of(const std::vector<Task>& tasks) {
  std::set<pid_t> pids;
  for (const Task& task : tasks)
    pids.insert(task.pid());
  return pids;
}

TEST_F(SearchTest, PatternsMatchToAnyDepth) {
  Task task = awkward({"sleep"}, {.meta = {{"name", "one"},
                                           {"number", 5},
                                           {"flag", true},
                                           {"nothing", nullptr},
                                           {"list", {1, "two", {{"three", 3}}}},
                                           {"deep", {{"er", {{"est", "bottom"}}}}}}});
  Task other = awkward({"exit", "0"}, {.meta = {{"name", "two"}}});
  wait_exit(other);
  const auto finds = [&](const Json& pattern) {
    return pids_of(pool().search(pattern)).count(task.pid()) == 1;
  };
  EXPECT_TRUE(finds(Json::object()));
  EXPECT_TRUE(finds({{"meta", {{"name", "one"}}}}));
  EXPECT_TRUE(finds({{"meta", {{"deep", {{"er", {{"est", "bottom"}}}}}}}}));
  EXPECT_TRUE(finds({{"meta", {{"deep", {{"er", Json::object()}}}}}}));
  EXPECT_TRUE(finds({{"meta", {{"number", 5}}}}));
  EXPECT_TRUE(finds({{"meta", {{"number", "5"}}}})) << "equal as text";
  EXPECT_TRUE(finds({{"meta", {{"flag", 1}}}}));
  EXPECT_TRUE(finds({{"meta", {{"flag", true}}}}));
  EXPECT_TRUE(finds({{"meta", {{"list", {1, "two", {{"three", "3"}}}}}}}));
  EXPECT_TRUE(finds({{"status", {{"running", 1}}}}));
  EXPECT_TRUE(finds({{"command", awkward_command({"sleep"})}}));
  EXPECT_TRUE(finds({{"streams", {{"stdout", {{"limit", 0}}}}}}));
  EXPECT_FALSE(finds({{"meta", {{"name", "two"}}}}));
  EXPECT_FALSE(finds({{"meta", {{"nam", "one"}}}}));
  EXPECT_FALSE(finds({{"meta", {{"number", 6}}}}));
  EXPECT_FALSE(finds({{"meta", {{"flag", 0}}}}));
  EXPECT_FALSE(finds({{"meta", {{"list", {1, "two"}}}}})) << "arrays match in length";
  EXPECT_FALSE(finds({{"meta", {{"absent", nullptr}}}})) << "every key exists";
  EXPECT_FALSE(finds({{"meta", {{"name", {{"er", 1}}}}}}));
  EXPECT_EQ(pool().search({{"status", {{"running", 0}}}}).size(), 1u);
  EXPECT_EQ(pool().search({{"status", {{"exit_code", 0}}}}).size(), 1u);
}

TEST_F(SearchTest, PredicatesMayThrow) {
  for (int i = 0; i < 4; ++i)
    awkward({"sleep"}, {.meta = i % 2 == 0 ? Json{{"even", i}} : Json::object()});
  const auto found = pool().search([](const Json& info) { return info.at("meta").at("even") >= 2; });
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(Task(found[0]).info()["meta"]["even"], 2);
}

TEST_F(SearchTest, TasksAreFoundByTheirChildToo) {
  Task task = awkward({"sleep"});
  const pid_t child = child_of(task);
  EXPECT_EQ(Task(child, pool().path()).info(true)["pid"], task.pid());
  ASSERT_TRUE(pool().task(child).has_value());
  EXPECT_EQ(pool().task(child)->pid(), task.pid());
  EXPECT_FALSE(pool().task(getpid()).has_value());
}

TEST_F(SearchTest, StreamPositionsAreOfTheMomentOfSearching) {
  Task task = awkward({"puppet"});
  task.stream("stdin").write_all("out hello\n");
  ASSERT_TRUE(wait_limit(task, "stdout", 6));
  EXPECT_EQ(pool().search({{"streams", {{"stdout", {{"limit", 6}}}}}}).size(), 1u);
  task.stream("stdout").read();
  EXPECT_EQ(pool().search({{"streams", {{"stdout", {{"consumed", 6}}}}}}).size(), 1u);
}

/// Puts everything into a pool that a hostile or crashed user could; returns the names a search has to
/// complain of.
std::vector<std::string> litter(const std::filesystem::path& pool) {
  const auto entry = [&pool](const std::string& name) {
    mkdir((pool / name).c_str(), 0700);
    write_whole(pool / name / "lock", "");
    chmod((pool / name / "lock").c_str(), 0600);
    return pool / name;
  };
  mkfifo((entry("5000001") / "status").c_str(), 0600);
  symlink("/etc/passwd", (entry("5000002") / "status").c_str());
  write_whole(entry("5000003") / "status", "this is no JSON");
  write_whole(entry("5000004") / "status", std::string(500'000, '['));
  const int sparse = open((entry("5000005") / "status").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  EXPECT_EQ(ftruncate(sparse, off_t{1} << 40), 0);
  close(sparse);
  write_whole(entry("5000006") / "status", "[1, 2, 3]");
  chmod(entry("5000007").c_str(), 0777);
  write_whole(pool / "5000007" / "status", "{}");
  EXPECT_EQ(chown(entry("5000008").c_str(), 12'345, 12'345), 0);
  write_whole(pool / "5000008" / "status", "{}");
  symlink("/", (pool / "5000009").c_str());
  mkfifo((pool / "5000010").c_str(), 0600);
  const std::filesystem::path fifo_lock = pool / "5000011";
  mkdir(fifo_lock.c_str(), 0700);
  mkfifo((fifo_lock / "lock").c_str(), 0600);
  write_whole(fifo_lock / "status", "{}");
  return {"5000001", "5000002", "5000003", "5000004", "5000005", "5000006",
          "5000007", "5000008", "5000009", "5000010", "5000011"};
}

/// What is neither a task nor to be complained of: made or removed just now, or not ours.
void half_done(const std::filesystem::path& pool) {
  mkdir((pool / ".tmp-4711").c_str(), 0700);
  write_whole(pool / ".tmp-4711" / "status", "{}");
  mkdir((pool / "5000020").c_str(), 0700);
  write_whole(pool / "5000020" / "lock", "");
  mkdir((pool / "5000021").c_str(), 0700);
}

TEST_F(SearchTest, TwoHundredTasksOfWhichSomeAreStoppedLostHostileOrHalfDeleted) {
  std::vector<Task> tasks;
  std::set<pid_t> group_three;
  for (int i = 0; i < 200; ++i) {
    const bool ends = i % 10 == 7;
    tasks.push_back(awkward({ends ? "exit" : "sleep", "0"},
                            {.meta = {{"index", i}, {"nested", {{"group", i % 8}}}}, .buffer = 65'536}));
    if (i % 8 == 3) group_three.insert(tasks.back().pid());
    if (ends) wait_exit(tasks.back());
  }
  std::set<pid_t> lost;
  for (int i = 0; i < 200; i += 20) {
    kill_supervisor(tasks[static_cast<size_t>(i + 3)]);
    lost.insert(tasks[static_cast<size_t>(i + 3)].pid());
  }
  for (int i = 0; i < 200; i += 20) {
    ASSERT_TRUE(send_signal(tasks[static_cast<size_t>(i + 11)].pid(), SIGSTOP));
  }
  std::vector<std::string> hostile = litter(pool().path());
  half_done(pool().path());
  for (Task& task : tasks)
    task.disconnect();
  const auto wakeups = [&] {
    int64_t sum = 0;
    for (const Task& task : tasks) {
      if (lost.contains(task.pid())) continue;  // a zombie has a count too, until init gets round to it
      sum += process_number(task.pid(), "voluntary_ctxt_switches");
    }
    return sum;
  };
  const auto all_rest = [&] {
    return std::all_of(tasks.begin(), tasks.end(),
                       [&](const Task& task) { return lost.contains(task.pid()) || at_rest(task.pid()); });
  };
  int64_t before = wakeups();
  ASSERT_TRUE(eventually([&] {  // until our disconnecting has been digested
    if (!all_rest()) return false;
    const int64_t earlier = std::exchange(before, wakeups());
    return earlier == before;
  }));

  std::vector<SkippedEntry> skipped;
  EXPECT_EQ(pids_of(pool().search({{"meta", {{"nested", {{"group", 3}}}}}}, &skipped)), group_three);
  std::set<std::string> complained;
  for (const SkippedEntry& entry : skipped)
    complained.insert(entry.name);
  for (const std::string& name : hostile)
    EXPECT_EQ(complained.count(name), 1u) << name;
  for (const Task& task : tasks)
    EXPECT_EQ(complained.count(std::to_string(task.pid())), 0u);

  const auto all = pool().search(Json::object());
  EXPECT_EQ(pids_of(all), pids_of(tasks));
  EXPECT_EQ(pool().search({{"status", {{"state", "lost"}}}}).size(), 10u);
  EXPECT_EQ(pool().search({{"status", {{"state", "exited"}}}}).size(), 20u);
  EXPECT_EQ(pool().search({{"status", {{"state", "running"}}}}).size(), 170u);
  EXPECT_EQ(
      pool().search([](const Json& info) { return info["meta"]["index"].get<int>() % 50 == 11; }).size(), 4u);
  for (const Task& task : all) {
    EXPECT_EQ(Task(task).info()["pid"], task.pid()) << "the document is at hand";
  }
  const ProgramResult listed = bgtask({"ls", "-o", "json"});
  EXPECT_EQ(listed.status, 0) << listed.err;
  EXPECT_EQ(Json::parse(listed.out).size(), 200u);
  for (const std::string& name : hostile) {
    EXPECT_NE(listed.err.find(name), std::string::npos) << name << " is not named in: " << listed.err;
  }
  EXPECT_EQ(wakeups(), before) << "searching wakes no supervisor";

  Task stopped(tasks[11].pid(), pool().path());
  stopped.set_timeout(Seconds(0.2));
  EXPECT_EQ(error_of([&] { stopped.info(true); }).code(), "unresponsive") << "stopped is not lost";
  EXPECT_EQ(stopped.snapshot()["status"]["state"], "running");
  for (const std::string& name : names_in(pool().path())) {
    const int number = std::atoi(name.c_str());
    if (number >= 5'000'000 || name[0] == '.') std::filesystem::remove_all(pool().path() / name);
  }
}

TEST_F(SearchTest, HostileEntriesAreNotFollowedByOtherVerbsEither) {
  for (const std::string& name : litter(pool().path())) {
    Task task(std::stoi(name), pool().path());
    task.set_timeout(Seconds(2));
    EXPECT_FALSE(error_of([&] { task.info(true); }).code().empty()) << name;
    EXPECT_FALSE(error_of([&] { task.stream("stdout").peek(); }).code().empty()) << name;
    try {
      task.remove();  // may succeed where there is nothing but a dead directory
    } catch (const Error&) {
    }
  }
  pool().gc();
  EXPECT_TRUE(std::filesystem::exists("/etc/passwd"));
  for (const std::string& name : names_in(pool().path())) {
    std::filesystem::remove_all(pool().path() / name);
  }
}

TEST_F(SearchTest, APoolThatCannotBeTrustedIsRefused) {
  const auto refusal = [&](const std::string& name) {
    return error_of([&] { TaskPool(base() / name); }).code();
  };
  EXPECT_TRUE(TaskPool(base() / "absent").search(Json::object()).empty()) << "a missing pool is an empty one";
  mkdir((base() / "open").c_str(), 0700);
  chmod((base() / "open").c_str(), 0777);
  EXPECT_EQ(refusal("open"), "unsafe_pool");
  chmod((base() / "open").c_str(), 0770);
  EXPECT_EQ(refusal("open"), "unsafe_pool");
  symlink("pool", (base() / "link").c_str());
  EXPECT_EQ(refusal("link"), "unsafe_pool");
  write_whole(base() / "file", "");
  EXPECT_EQ(refusal("file"), "unsafe_pool");
  // Parents may be links.
  symlink(base().c_str(), (base() / "parent").c_str());
  EXPECT_NO_THROW(TaskPool(base() / "parent" / "pool"));
}

TEST_F(SearchTest, APathMayBeLongerThanASocketNameHolds) {
  std::filesystem::path deep = base();
  for (int i = 0; i < 8; ++i)
    deep /= std::string(50, static_cast<char>('a' + i));
  std::filesystem::create_directories(deep);
  const TaskPool far(deep / "pool", pool_options());
  Task task = far.spawn({.exec = awkward_command({"echo"})});
  task.stream("stdin").write_all("far away");
  task.stream("stdin").close();
  wait_exit(task);
  Task again(task.pid(), deep / "pool");
  EXPECT_EQ(again.stream("stdout").read().data, "far away");
  EXPECT_EQ(far.search({{"status", {{"state", "exited"}}}}).size(), 1u);
  EXPECT_EQ(far.socket_path(task.pid()), deep / "pool" / std::to_string(task.pid()) / "socket");
  const std::string pid = std::to_string(task.pid());
  EXPECT_EQ(bgtask({"--pool", (deep / "pool").string(), "info", pid}).status, 0);
  EXPECT_EQ(bgtask({"info", "--pool", (deep / "pool").string(), pid}).status, 0);
  again.remove();
  EXPECT_EQ(names_in(deep / "pool"), std::vector<std::string>());
}

TEST_F(SearchTest, ADeadDirectoryUnderItsOwnPidIsMovedAsideAndNotLost) {
  // Find out which pids come next by asking for one, then leave remains under the pids after it.
  Task first = awkward({"sleep"});
  for (int i = 1; i <= 300; ++i) {
    const std::string name = std::to_string(first.pid() + i);
    std::filesystem::create_directory(pool().path() / name);
    chmod((pool().path() / name).c_str(), 0700);
    write_whole(pool().path() / name / "lock", "");
    write_whole(pool().path() / name / "remains", name);
  }
  Task second = awkward({"sleep"});
  EXPECT_EQ(second.info(true)["status"]["state"], "running");
  size_t remains = 0;
  for (const auto& entry : std::filesystem::directory_iterator(pool().path())) {
    remains += std::filesystem::exists(entry.path() / "remains") ? 1 : 0;
  }
  EXPECT_EQ(remains, 300u) << "nothing is lost";
  EXPECT_TRUE(std::filesystem::exists(socket_of(second)));
  for (const std::string& name : names_in(pool().path())) {
    if (std::filesystem::exists(pool().path() / name / "remains")) {
      std::filesystem::remove_all(pool().path() / name);
    }
  }
}

}  // namespace
}  // namespace bgtask::e2e
