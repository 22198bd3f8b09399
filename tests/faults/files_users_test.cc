// Other users get the same answer whether a task exists or not, and can open no file of it. Root of a user
// namespace is not root, and a user without a mapped uid counts as nobody.
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <regex>

#include "tests/faults/files_fixture.h"

namespace bgtask::faults {
namespace {

constexpr char kSecret[] = "a-secret-nobody-else-may-see";
constexpr pid_t kAbsent = 4'999'999;

class FilesUsers : public FilesTest {
 protected:
  Task secret_task() {
    Task task = awkward({"puppet", "", kSecret}, {.env = {{"SECRET", kSecret}}, .meta = {{"s", kSecret}}});
    task.stream("stdin").write_all(std::string("out ") + kSecret + "\n");
    EXPECT_TRUE(wait_limit(task, "stdout", sizeof kSecret));
    return task;
  }
};

/// The text with the task's id removed.
std::string without_pid(const std::string& words, pid_t pid) {
  // As a whole word, because a directory's name may contain the same digits.
  return std::regex_replace(words, std::regex("\\b" + std::to_string(pid) + "\\b"), "PID");
}

using Attempts = std::map<std::string, std::function<std::string(pid_t)>>;

Attempts library_calls(const std::filesystem::path& path, const PoolOptions& options) {
  const auto on_task = [&](auto act) {
    return [=](pid_t pid) {
      Task task(pid, path);
      return act(task);
    };
  };
  const auto on_pool = [&](auto act) { return [=](pid_t pid) { return act(TaskPool(path, options), pid); }; };
  return {
      {"connect", on_task([](Task& t) { return std::to_string(t.connect()); })},
      {"info", on_task([](Task& t) { return t.info(true).dump(); })},
      {"snapshot", on_task([](Task& t) { return t.snapshot().dump(); })},
      {"meta", on_task([](Task& t) {
         return t.apply_meta({{"a", 1}}).dump();
       })},
      {"kill", on_task([](Task& t) { return std::to_string(t.kill()); })},
      {"pause", on_task([](Task& t) { return std::to_string(t.pause()); })},
      {"restart", on_task([](Task& t) { return std::to_string(t.restart()); })},
      {"remove", on_task([](Task& t) { return std::to_string(t.remove().signalled); })},
      {"wait", on_task([](Task& t) { return t.wait({.timeout = Seconds(1)}).fired; })},
      {"output", on_task([](Task& t) { return std::to_string(t.output().chunks.size()); })},
      {"read", on_task([](Task& t) { return t.stream(1).read().data; })},
      {"peek", on_task([](Task& t) { return t.stream(1).peek().data; })},
      {"write", on_task([](Task& t) { return std::to_string(t.stream(0).write("x").accepted); })},
      {"task", on_pool([](const TaskPool& p, pid_t pid) { return std::to_string(p.task(pid).has_value()); })},
      {"search", on_pool([](const TaskPool& p, pid_t) { return std::to_string(p.search({}).size()); })},
      {"adopt", on_pool([](const TaskPool& p, pid_t pid) { return std::to_string(p.adopt(pid).pid()); })},
      {"gc", on_pool([](const TaskPool& p, pid_t) { return std::to_string(p.gc().size()); })},
      {"spawn",
       on_pool([](const TaskPool& p, pid_t) { return std::to_string(p.spawn({.cmd = "true"}).pid()); })},
  };
}

TEST_F(FilesUsers, G11_TheLibrarySaysTheSameWhetherATaskExistsOrNot) {
  Task task = secret_task();
  const pid_t pid = task.pid();
  for (const auto& [what, attempt] : library_calls(pool().path(), public_options())) {
    const std::string existing = told(kStranger, [&, &act = attempt] { return act(pid); });
    const std::string absent = told(kStranger, [&, &act = attempt] { return act(kAbsent); });
    EXPECT_EQ(existing.rfind("denied ", 0), 0u) << what << ": " << existing;
    EXPECT_EQ(without_pid(existing, pid), without_pid(absent, kAbsent)) << what;
  }
  EXPECT_EQ(task.info(true)["status"]["state"], "running");
  task.remove();
}

TEST_F(FilesUsers, G11_TheCommandLineSaysTheSameWhetherATaskExistsOrNot) {
  Task task = secret_task();
  const std::string program = public_program(BGTASK_PROGRAM).string();
  const std::string path = pool().path().string();
  const auto run = [&](const std::vector<std::string>& verb, pid_t pid) {
    std::vector<std::string> words = {program, "--pool", path};
    words.insert(words.end(), verb.begin(), verb.end());
    words.push_back(std::to_string(pid));
    const e2e::ProgramResult result = e2e::as_user(kStranger, [&] {
      const e2e::ProgramResult ran = e2e::run_program(words);
      return std::to_string(ran.status) + "|" + ran.out + "|" + ran.err;
    });
    EXPECT_EQ(result.status, 0) << result.err;
    return without_pid(result.out, pid);
  };
  for (const std::vector<std::string>& verb : std::vector<std::vector<std::string>>{{"info"},
                                                                                    {"meta"},
                                                                                    {"logs"},
                                                                                    {"read"},
                                                                                    {"kill"},
                                                                                    {"pause"},
                                                                                    {"resume"},
                                                                                    {"restart"},
                                                                                    {"delete"},
                                                                                    {"wait"},
                                                                                    {"adopt"},
                                                                                    {"ls"}}) {
    const std::string existing = run(verb, task.pid());
    EXPECT_EQ(existing.rfind("125||", 0), 0u) << verb[0] << ": " << existing;
    EXPECT_NE(existing.find("Permission denied"), std::string::npos) << verb[0] << ": " << existing;
    EXPECT_EQ(existing, run(verb, kAbsent)) << verb[0];
  }
  EXPECT_EQ(task.info(true)["status"]["state"], "running");
  task.remove();
}

TEST_F(FilesUsers, G11_NoFileOfATaskAndNothingOfItsSupervisorOpensForAnother) {
  Task task = secret_task();
  const pid_t pid = task.pid();
  const std::filesystem::path directory = directory_of(task);
  std::vector<std::filesystem::path> paths = {pool().path(), directory};
  for (const std::string& name : e2e::names_in(directory))
    paths.push_back(directory / name);
  EXPECT_GE(paths.size(), 10u);
  const std::filesystem::path proc = "/proc/" + std::to_string(pid);
  for (const char* file : {"environ", "mem", "maps", "fd", "auxv", "io", "stack", "syscall", "map_files"})
    paths.push_back(proc / file);
  for (const bool widened : {false, true}) {
    // Also with the pool itself open to all, as /run/bgtask is.
    if (widened) ::chmod(pool().path().c_str(), 0755);
    const e2e::ProgramResult result = e2e::as_user(kStranger, [&] {
      std::string opened;
      for (const std::filesystem::path& path : paths) {
        if (widened && path == paths.front()) continue;
        for (const int mode : {O_RDONLY, O_WRONLY, O_RDWR}) {
          if (::open(path.c_str(), mode | O_NONBLOCK | O_CLOEXEC) >= 0) {
            // Some files of /proc open for everyone and return nothing.
            opened += path.string() + " ";
          }
        }
      }
      return opened + ".";
    });
    EXPECT_EQ(result.out, ".") << result.err;
  }
  ::chmod(pool().path().c_str(), 0700);
  task.remove();
}

/// Runs as root of a user namespace of its own, where only the user itself has a number.
std::string as_root_in_a_namespace(uid_t uid, const std::function<std::string()>& body) {
  const e2e::ProgramResult result = e2e::as_user(uid, [&] {
    if (::unshare(CLONE_NEWUSER) != 0) throw std::runtime_error("unshare");
    e2e::write_whole("/proc/self/setgroups", "deny");
    e2e::write_whole("/proc/self/uid_map", "0 " + std::to_string(uid) + " 1");
    e2e::write_whole("/proc/self/gid_map", "0 " + std::to_string(uid) + " 1");
    if (::geteuid() != 0) throw std::runtime_error("not root in the namespace");
    return words_of(body);
  });
  EXPECT_EQ(result.status, 0) << result.err;
  return result.out;
}

/// Makes a task's files accessible to all, so that only the supervisor's own check remains.
void widen(const std::filesystem::path& pool, pid_t pid) {
  ::chmod(pool.c_str(), 0755);
  const std::filesystem::path directory = pool / std::to_string(pid);
  ::chmod(directory.c_str(), 0755);
  for (const std::string& name : e2e::names_in(directory))
    ::chmod((directory / name).c_str(), 0666);
}

/// The supervisor's reply to a request of this process.
std::string asked_directly(const std::filesystem::path& socket) {
  e2e::RawClient client(socket);
  if (!client.connected()) return "not connected";
  client.request("info");
  client.request("kill");
  std::string words;
  while (const auto message = client.receive(Milliseconds(10'000)))
    words += message->contains("result") ? message->dump() : e2e::error_word(*message) + " ";
  return words + (client.closed_by_peer(Milliseconds(10'000)) ? "closed" : "open");
}

TEST_F(FilesUsers, G11_RootInAUserNamespaceIsNotRoot) {
  Task task = secret_task();
  const pid_t pid = task.pid();
  const std::filesystem::path path = pool().path();
  EXPECT_EQ(as_root_in_a_namespace(kStranger, [&] { return Task(pid, path).info().dump(); }).substr(0, 7),
            "denied ");
  widen(path, pid);
  for (const char* socket : {"socket", "read"}) {
    EXPECT_EQ(as_root_in_a_namespace(kStranger,
                                     [&] { return asked_directly(path / std::to_string(pid) / socket); }),
              "none: denied closed")
        << socket;
  }
  const std::string words =
      as_root_in_a_namespace(kStranger, [&] { return std::to_string(Task(pid, path).kill()); });
  EXPECT_EQ(words.rfind("unsafe_pool ", 0), 0u) << words;
  EXPECT_EQ(task.info(true)["status"]["state"], "running");
  ::chmod(path.c_str(), 0700);
  task.remove();
}

TEST_F(FilesUsers, G11_RootInAUserNamespaceStillIsTheUserThatItWas) {
  const std::filesystem::path path = pool_of(kOwner);
  const pid_t pid = spawn_as(kOwner, path, {.exec = {"/bin/sleep", "1000"}});
  EXPECT_EQ(as_root_in_a_namespace(
                kOwner, [&] { return Task(pid, path).info()["status"]["state"].get<std::string>(); }),
            "none: running");
  const auto remove = [&] { return std::to_string(Task(pid, path).remove({.grace = e2e::kNoHurry}).exited); };
  EXPECT_EQ(as_root_in_a_namespace(kOwner, remove), "none: 1");
  EXPECT_EQ(e2e::names_in(path), std::vector<std::string>());
}

TEST_F(FilesUsers, G11_AUserWithoutANumberIsNobody) {
  // In a namespace without a map its own user and every other one have the same number.
  const std::filesystem::path path = pool_of(kOwner);
  PoolOptions options = public_options();
  options.supervisor_command.insert(options.supervisor_command.begin(), {"/usr/bin/unshare", "--user"});
  const e2e::ProgramResult spawned = e2e::as_user(kOwner, [&] {
    return std::to_string(TaskPool(path, options).spawn({.exec = {"/bin/sleep", "1000"}, .cwd = "/"}).pid());
  });
  ASSERT_EQ(spawned.status, 0) << spawned.err;
  const pid_t pid = std::stoi(spawned.out);
  const auto children = e2e::children_of(pid);
  ASSERT_EQ(children.size(), 1u);
  widen(path, pid);
  for (const uid_t uid : {kStranger, kOwner}) {
    EXPECT_EQ(told(uid, [&] { return asked_directly(path / std::to_string(pid) / "socket"); }),
              "none: denied closed")
        << uid;
  }
  EXPECT_FALSE(e2e::gone(children[0]));
  ASSERT_TRUE(e2e::send_signal(pid, SIGTERM));
  EXPECT_TRUE(eventually([&] { return e2e::gone(pid) && e2e::gone(children[0]); }));
  EXPECT_EQ(e2e::names_in(path), std::vector<std::string>());
}

TEST_F(FilesUsers, G10_G11_AClientInANamespaceWithoutAMapTrustsNoPool) {
  ::chmod(pool().path().c_str(), 0755);
  const std::string words = told(kStranger, [&] {
    if (::unshare(CLONE_NEWUSER) != 0) throw std::runtime_error("unshare");
    return std::to_string(TaskPool(pool().path()).search(Json::object()).size());
  });
  EXPECT_EQ(words.rfind("unsafe_pool ", 0), 0u) << words;
  EXPECT_NE(words.find(pool().path().string()), std::string::npos) << words;
  ::chmod(pool().path().c_str(), 0700);
}

}  // namespace
}  // namespace bgtask::faults
