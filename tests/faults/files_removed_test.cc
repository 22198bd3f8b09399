// Files of a live task are removed: the supervisor restores what it can; otherwise the child goes on and the
// task can still be ended.
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <sstream>

#include "tests/faults/files_fixture.h"

namespace bgtask::faults {
namespace {

constexpr Milliseconds kPutBack{5'000};
constexpr mode_t kSocketMode = S_IFSOCK | 0600, kFileMode = S_IFREG | 0600;

/// CPU time of a process, clock ticks.
int64_t cpu_ticks(pid_t pid) {
  const std::string stat = e2e::read_whole("/proc/" + std::to_string(pid) + "/stat");
  std::istringstream fields(stat.substr(stat.rfind(')') + 2));
  std::string word;
  for (int field = 3; field < 14; ++field)
    fields >> word;
  int64_t user = 0, system = 0;
  fields >> user >> system;
  return user + system;
}

int64_t wakeups(pid_t pid) {
  return e2e::process_number(pid, "voluntary_ctxt_switches") +
         e2e::process_number(pid, "nonvoluntary_ctxt_switches");
}

class FilesRemoved : public FilesTest {
 protected:
  /// Checks that the supervisor does not poll: no wake-up within a time in which a poll would occur.
  void expect_idle(pid_t supervisor) const {
    int64_t last = -1;
    ASSERT_TRUE(eventually([&] {
      const int64_t before = std::exchange(last, wakeups(supervisor));
      return before == last && e2e::process_state(supervisor) == 'S';
    }));
    const int64_t settled = wakeups(supervisor);
    const timespec while_idle{nightly() ? 12 : 2, 0};
    ::nanosleep(&while_idle, nullptr);
    EXPECT_EQ(wakeups(supervisor), settled) << "an idle supervisor sleeps";
  }
  void expect_answers(const Task& task) const {
    Task again(task.pid(), pool().path());
    EXPECT_EQ(again.call("ping"), "pong");
    EXPECT_EQ(again.info(true)["status"]["state"], "running");
  }
  bool is_there(const Task& task, const std::string& file) const {
    const mode_t mode = file == "socket" || file == "read" ? kSocketMode : kFileMode;
    return eventually([&] { return mode_of(directory_of(task) / file) == mode; }, kPutBack);
  }
};

TEST_F(FilesRemoved, G7_G14_SocketsLockAndStatusComeBackAndTheSupervisorIdlesAgain) {
  Task task = awkward({"puppet"});
  const pid_t child = child_of(task);
  task.disconnect();
  for (const std::vector<std::string>& gone : std::vector<std::vector<std::string>>{
           {"socket"}, {"read"}, {"status"}, {"lock"}, {"socket", "read", "status", "lock"}}) {
    for (const std::string& file : gone)
      std::filesystem::remove(directory_of(task) / file);
    for (const std::string& file : gone)
      EXPECT_TRUE(is_there(task, file)) << file;
    expect_answers(task);
    EXPECT_EQ(pool().search({{"pid", task.pid()}, {"status", {{"state", "running"}}}}).size(), 1u);
    EXPECT_EQ(bgtask({"gc"}).status, 0);
    EXPECT_EQ(child_of(task), child) << "gc took nothing";
    task.disconnect();
  }
  expect_idle(task.pid());
  std::vector<std::string> names = e2e::names_in(directory_of(task));
  for (const std::string& name : names)
    EXPECT_EQ(name.find(".new"), std::string::npos) << "nothing half made is left: " << name;
  task.remove();
}

TEST_F(FilesRemoved, G7_WhatIsRemovedAgainAndAgainComesBackEachTime) {
  Task task = awkward({"puppet"});
  for (int i = 0; i < scaled(50, 500); ++i) {
    std::filesystem::remove(directory_of(task) / (i % 2 == 0 ? "socket" : "status"));
    ASSERT_TRUE(is_there(task, i % 2 == 0 ? "socket" : "status")) << i;
    if (i % 10 == 0) expect_answers(task);
  }
  task.disconnect();
  expect_idle(task.pid());
  task.remove();
}

TEST_F(FilesRemoved, G7_AnOldConnectionAndFollowerOutliveTheRemovalOfTheSocket) {
  Task task = awkward({"puppet"});
  e2e::RawClient client(socket_of(task));
  client.result("subscribe", {{"events", {"output"}}, {"cursor", 0}});
  std::filesystem::remove(socket_of(task));
  task.stream("stdin").write_all("out still here\n");
  const auto event = client.receive();
  ASSERT_TRUE(event.has_value());
  EXPECT_EQ(e2e::bytes_of((*event)["params"]["chunks"][0]["data"]), "still here\n");
  EXPECT_TRUE(is_there(task, "socket"));
  task.remove();
}

/// Removes a directory repeatedly, because files reappear while it is removed.
void remove_whole(const std::filesystem::path& directory) {
  EXPECT_TRUE(eventually([&] {
    std::error_code not_empty;
    std::filesystem::remove_all(directory, not_empty);
    return !std::filesystem::exists(directory);
  }));
}

struct Pair {
  pid_t supervisor, child;
};

/// Checks tasks whose files are gone: the supervisors idle, the children go on, TERM ends both.
void expect_calm_and_ended_by_term(const std::vector<Pair>& tasks, const std::filesystem::path& gone) {
  std::map<pid_t, int64_t> before;
  for (const Pair& task : tasks)
    before[task.supervisor] = cpu_ticks(task.supervisor);
  const timespec second{1, 0};
  ::nanosleep(&second, nullptr);
  const int64_t half_a_second = ::sysconf(_SC_CLK_TCK) / 2;
  for (const Pair& task : tasks) {
    EXPECT_FALSE(e2e::gone(task.supervisor)) << "it does not crash";
    EXPECT_FALSE(e2e::gone(task.child)) << "the child goes on";
    EXPECT_LT(cpu_ticks(task.supervisor) - before[task.supervisor], half_a_second) << "no busy loop";
    ASSERT_TRUE(e2e::send_signal(task.supervisor, SIGTERM));
  }
  for (const Pair& task : tasks)
    EXPECT_TRUE(eventually([&] { return e2e::gone(task.supervisor) && e2e::gone(task.child); }));
  EXPECT_FALSE(std::filesystem::exists(gone)) << "nothing comes back";
}

TEST_F(FilesRemoved, G6_G7_WithoutItsDirectoryTheChildGoesOnAndTermEndsAll) {
  for (const bool connected : {false, true}) {
    Task task = awkward({"puppet"});
    const pid_t supervisor = task.pid();
    const pid_t child = child_of(task);
    const std::filesystem::path directory = directory_of(task);
    if (!connected) task.disconnect();
    remove_whole(directory);
    if (connected) {
      EXPECT_EQ(task.call("ping"), "pong");
      task.stream("stdin").write_all("out into nothing\n");
    }
    EXPECT_EQ(e2e::error_of([&] { Task(supervisor, pool().path()).info(); }).code(), "not_found");
    expect_calm_and_ended_by_term({{supervisor, child}}, directory);
  }
}

TEST_F(FilesRemoved, G6_G7_WithoutItsDirectoryADeleteOverAnOldConnectionEndsAll) {
  Task task = awkward({"family"});
  const std::map<std::string, pid_t> family = family_of(task, 4);
  ASSERT_EQ(task.call("ping"), "pong");
  remove_whole(directory_of(task));
  task.call("delete", {{"grace", 1}});
  for (const auto& member : family)
    EXPECT_TRUE(eventually([&] { return e2e::gone(member.second); })) << member.first;
  EXPECT_TRUE(eventually([&] { return e2e::gone(task.pid()); }));
}

TEST_F(FilesRemoved, G6_G7_WithoutThePoolTheChildrenGoOnAndTermEndsAll) {
  const std::filesystem::path path = base() / "doomed";
  const TaskPool doomed(path, pool_options());
  std::vector<Pair> pids;
  for (int i = 0; i < 5; ++i) {
    Task task = doomed.spawn({.exec = awkward_command({"puppet"})});
    pids.push_back({task.pid(), child_of(task)});
  }
  remove_whole(path);
  EXPECT_EQ(e2e::error_of([&] { doomed.spawn({.cmd = "true"}); }).os_error(), ENOENT);
  EXPECT_EQ(e2e::error_of([&] { doomed.search(Json::object()); }).code(), "not_found");
  EXPECT_EQ(e2e::error_of([&] { doomed.gc(); }).code(), "not_found");
  expect_calm_and_ended_by_term(pids, path);
}

TEST_F(FilesRemoved, G6_AMovedDirectoryIsEmptiedByTheDelete) {
  Task task = awkward({"puppet"});
  const pid_t child = child_of(task);
  std::filesystem::rename(directory_of(task), base() / "elsewhere");
  ASSERT_TRUE(e2e::send_signal(task.pid(), SIGTERM));
  EXPECT_TRUE(eventually([&] { return e2e::gone(task.pid()) && e2e::gone(child); }));
  EXPECT_EQ(e2e::names_in(base() / "elsewhere"), std::vector<std::string>());
  std::filesystem::remove(base() / "elsewhere");
}

}  // namespace
}  // namespace bgtask::faults
