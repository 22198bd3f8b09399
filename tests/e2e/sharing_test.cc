// A task may be shared with a group: its members watch it and cannot steer it. And whoever did something to a
// task is named in it. These tests need root, to be other users.
#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/e2e/fixture.h"

namespace bgtask::e2e {
namespace {

constexpr uid_t kWatcher = 54'331, kStranger = 54'332;
constexpr gid_t kGroup = 54'330;

class SharingTest : public E2eTest {
 protected:
  void SetUp() override {
    E2eTest::SetUp();
    chmod(base().c_str(), 0755);
    chmod(pool().path().c_str(), 0755);
  }
  /// What `body` returns, as a user whose only group beside its own is the one shared with.
  std::string watching(const std::function<std::string()>& body) const {
    const ProgramResult result = in_child([&] {
      if (setgroups(1, &kGroup) != 0 || setresgid(kWatcher, kWatcher, kWatcher) != 0 ||
          setresuid(kWatcher, kWatcher, kWatcher) != 0) {
        throw std::runtime_error("becoming another user needs root");
      }
      try {
        return body();
      } catch (const Error& error) {
        return error.code();
      }
    });
    EXPECT_EQ(result.status, 0) << result.err;
    return result.out;
  }
  Task shared(std::vector<std::string> args) {
    return awkward(std::move(args), {.meta = {{"name", "shared"}}, .share_with = std::to_string(kGroup)});
  }
  static mode_t mode_of(const std::filesystem::path& path) {
    struct stat status {};
    return lstat(path.c_str(), &status) == 0 ? status.st_mode & 07777 : 0;
  }
};

TEST_F(SharingTest, AMemberSeesTheTaskAndReadsItsOutput) {
  Task task = shared({"puppet"});
  task.stream("stdin").write_all("out hello\n");
  ASSERT_TRUE(eventually([&] { return task.stream("stdout").limit() > 0; }));
  const std::string printed = task.stream("stdout").peek().data;
  const pid_t pid = task.pid();
  const std::filesystem::path path = pool().path();
  EXPECT_EQ(watching([&] {
              return TaskPool(path).search({{"meta", {{"name", "shared"}}}}).empty() ? "none" : "one";
            }),
            "one");
  EXPECT_EQ(watching([&] { return Task(pid, path).info(true)["meta"]["name"].get<std::string>(); }),
            "shared");
  EXPECT_EQ(watching([&] { return Task(pid, path).snapshot()["status"]["state"].get<std::string>(); }),
            "running");
  EXPECT_EQ(watching([&] { return Task(pid, path).stream(1).peek().data; }), printed);
  EXPECT_EQ(watching([&] { return Task(pid, path).output().chunks.at(0).data; }), printed);
  EXPECT_EQ(watching([&] {
              Task watched(pid, path);
              std::string seen;
              watched.follow([&](const Output& output) {
                for (const auto& chunk : output.chunks)
                  seen += chunk.data;
                return seen.size() < printed.size();
              });
              return seen;
            }),
            printed);
  EXPECT_EQ(task.stream("stdout").peek().data, printed) << "nothing was consumed";
}

TEST_F(SharingTest, AMemberSteersNothing) {
  Task task = shared({"puppet"});
  const pid_t pid = task.pid();
  const std::filesystem::path path = pool().path();
  EXPECT_EQ(watching([&] { return std::to_string(Task(pid, path).kill()); }), "denied");
  EXPECT_EQ(watching([&] { return std::to_string(Task(pid, path).pause()); }), "denied");
  EXPECT_EQ(watching([&] { return Task(pid, path).apply_meta({{"name", "mine"}}).dump(); }), "denied");
  EXPECT_EQ(watching([&] { return std::to_string(Task(pid, path).remove().signalled); }), "denied");
  EXPECT_EQ(watching([&] { return Task(pid, path).stream(1).read().data; }), "denied");
  EXPECT_EQ(
      watching([&] { return std::to_string(Task(pid, path).stream("stdin").write("out x\n").accepted); }),
      "denied");
  EXPECT_EQ(watching([&] { return std::to_string(TaskPool(path).gc().size()); }), "0");
  EXPECT_EQ(task.info(true)["status"]["state"], "running");
  EXPECT_EQ(task.info(true)["meta"]["name"], "shared");
  // Not even by way of the other socket, whose mode keeps it out; and files it could write there are none.
  EXPECT_EQ(mode_of(directory_of(task) / "socket"), 0600u);
  EXPECT_EQ(mode_of(directory_of(task) / "read"), 0660u);
  for (const char* file : {"lock", "launch"})
    EXPECT_EQ(mode_of(directory_of(task) / file), 0600u) << file;
  for (const char* file : {"status", "stdout", "stderr", "data", "index"})
    EXPECT_EQ(mode_of(directory_of(task) / file), 0640u) << file;
}

TEST_F(SharingTest, TheReadSocketRefusesTheOwnersChangesToo) {
  Task task = shared({"puppet"});
  RawClient client(directory_of(task) / "read");
  EXPECT_EQ(client.result("ping"), "pong");
  EXPECT_EQ(error_word(client.call("kill")), "denied");
  EXPECT_EQ(error_word(client.call("read", {{"stream", "stdout"}})), "denied");
  EXPECT_EQ(client.result("read", {{"stream", "stdout"}, {"peek", true}})["offset"], 0);
}

TEST_F(SharingTest, AStrangerAndATaskThatIsNotSharedStayApart) {
  Task task = shared({"sleep"});
  Task own = awkward({"sleep"});
  EXPECT_EQ(mode_of(directory_of(own)), 0700u);
  EXPECT_EQ(mode_of(directory_of(own) / "read"), 0600u);
  const std::filesystem::path path = pool().path();
  EXPECT_EQ(watching([&] { return Task(own.pid(), path).info().dump(); }), "denied");
  const ProgramResult stranger = as_user(kStranger, [&]() -> std::string {
    try {
      return Task(task.pid(), path).info().dump();
    } catch (const Error& error) {
      return error.code();
    }
  });
  EXPECT_EQ(stranger.out, "denied") << stranger.err;
}

TEST_F(SharingTest, AGroupThatIsNotThereOrNotOursIsRefused) {
  EXPECT_EQ(error_of([&] { awkward({"sleep"}, {.share_with = "no-such-group"}); }).code(), "bad_argument");
  const std::filesystem::path path = base() / "strangers";
  mkdir(path.c_str(), 0700);
  ASSERT_EQ(chown(path.c_str(), kStranger, kStranger), 0);
  const std::filesystem::path supervisor = public_copy(BGTASK_SUPERVISOR_PROGRAM);
  const ProgramResult result = as_user(kStranger, [&]() -> std::string {
    try {
      TaskPool(path, {.supervisor_command = {supervisor.string()}})
          .spawn({.exec = {"/bin/true"}, .cwd = "/", .share_with = std::to_string(kGroup)});
    } catch (const Error& error) {
      return error.code();
    }
    return "spawned";
  });
  EXPECT_EQ(result.out, "denied") << result.err;
  EXPECT_EQ(names_in(path), std::vector<std::string>());
}

TEST_F(SharingTest, ALostTaskIsSeenAsLostByItsWatchers) {
  Task task = shared({"sleep"});
  const std::filesystem::path path = pool().path();
  kill_supervisor(task);
  EXPECT_EQ(watching([&] { return Task(task.pid(), path).snapshot()["status"]["state"].get<std::string>(); }),
            "lost");
  Task adopted = pool().adopt(task.pid());
  EXPECT_EQ(watching([&] { return Task(adopted.pid(), path).info(true)["shared_with"].get<std::string>(); }),
            std::to_string(kGroup));
  EXPECT_EQ(mode_of(directory_of(adopted) / "read"), 0660u);
}

using ActionsTest = E2eTest;

TEST_F(ActionsTest, WhoSignalledIsKept) {
  Task task = awkward({"puppet"});
  task.kill("WINCH", Scope::kProcess);
  task.pause();
  task.resume();
  for (int i = 0; i < 5; ++i)
    task.kill("CONT", Scope::kTree);
  const Json actions = task.info(true)["actions"];
  ASSERT_EQ(actions.size(), 4u) << actions;
  const char* expected[] = {"WINCH to the process", "pause", "resume", "CONT to the tree"};
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(actions[i]["action"], expected[i]);
    EXPECT_EQ(actions[i]["uid"], geteuid());
    EXPECT_EQ(actions[i]["pid"], getpid());
    EXPECT_GT(actions[i]["time"].get<double>(), 1e9);
  }
  EXPECT_EQ(actions[3]["count"], 5);
  EXPECT_EQ(task.snapshot()["actions"].size(), 4u) << "it is published as well";
  const std::string log = read_whole(directory_of(task) / "log");
  EXPECT_NE(log.find("pause by uid " + std::to_string(geteuid()) + ", pid " + std::to_string(getpid())),
            std::string::npos)
      << log;
}

TEST_F(ActionsTest, OnlyTheLastOnesAreKept) {
  Task task = awkward({"puppet"});
  for (int i = 0; i < 20; ++i) {
    task.pause();
    task.resume();
  }
  const Json actions = task.info(true)["actions"];
  EXPECT_EQ(actions.size(), 16u);
  EXPECT_EQ(actions.back()["action"], "resume");
}

TEST_F(ActionsTest, SurviveTheSupervisorAndGoOnAfterAdoption) {
  Task task = awkward({"sleep"});
  task.pause();
  task.resume();
  kill_supervisor(task);
  EXPECT_EQ(Task(task.pid(), pool().path()).snapshot()["actions"].size(), 2u);
  Task adopted = pool().adopt(task.pid());
  adopted.kill("WINCH", Scope::kProcess);
  EXPECT_EQ(adopted.info(true)["actions"].size(), 3u);
}

}  // namespace
}  // namespace bgtask::e2e
