// Who may see and ask, and what modes there are from the first moment. These tests need root, to be other
// users.
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <utility>

#include "tests/e2e/fixture.h"

namespace bgtask::e2e {
namespace {

constexpr uid_t kStranger = 54'321, kOwner = 54'322;
constexpr char kSecret[] = "a-secret-nobody-else-may-see";

constexpr unsigned kGone = 0xffff;
unsigned mode_of(const std::filesystem::path& path) {
  struct stat status {};
  return lstat(path.c_str(), &status) == 0 ? status.st_mode & 07777 : kGone;
}

class PermissionTest : public E2eTest {
 protected:
  /// A pool that belongs to another user, whose supervisor everybody may execute.
  std::filesystem::path pool_of(uid_t uid) {
    chmod(base().c_str(), 0755);
    const std::filesystem::path path = base() / ("pool-of-" + std::to_string(uid));
    mkdir(path.c_str(), 0700);
    EXPECT_EQ(chown(path.c_str(), uid, uid), 0) << "this test needs root";
    return path;
  }
  PoolOptions options_for(const std::filesystem::path& supervisor) const {
    return {.supervisor_command = {supervisor.string()}, .supervisor_env = {{"BGTASK_E2E", base().string()}}};
  }
};

TEST_F(PermissionTest, AnotherUserIsRefusedAndLearnsNothing) {
  chmod(base().c_str(), 0755);
  chmod(pool().path().c_str(), 0755);  // the pool may be seen, what is in it may not
  Task task = awkward({"sleep", kSecret}, {.meta = {{"name", kSecret}}});
  const pid_t pid = task.pid();
  const auto told = [&](const std::string& what, const std::function<std::string()>& attempt) {
    const ProgramResult result = as_user(kStranger, [&]() -> std::string {
      try {
        return "succeeded: " + attempt();
      } catch (const Error& error) {
        return error.code() + " " + error.what();
      }
    });
    EXPECT_EQ(result.status, 0) << what << ": " << result.err;
    EXPECT_EQ(result.out.find("succeeded"), std::string::npos) << what << ": " << result.out;
    EXPECT_EQ(result.out.find(kSecret), std::string::npos) << what << ": " << result.out;
    return result.out.substr(0, result.out.find(' '));
  };
  const std::filesystem::path path = pool().path();
  EXPECT_EQ(told("info", [&] { return Task(pid, path).info().dump(); }), "denied");
  EXPECT_EQ(told("snapshot", [&] { return Task(pid, path).snapshot().dump(); }), "denied");
  EXPECT_EQ(told("peek", [&] { return Task(pid, path).stream(1).peek().data; }), "denied");
  EXPECT_EQ(told("kill", [&] { return std::to_string(Task(pid, path).kill()); }), "denied");
  EXPECT_EQ(told("remove", [&] { return std::to_string(Task(pid, path).remove().signalled); }), "denied");
  const ProgramResult found =
      as_user(kStranger, [&] { return std::to_string(TaskPool(path).search(Json::object()).size()); });
  EXPECT_EQ(found.out, "0") << found.err;
  EXPECT_EQ(task.info(true)["status"]["state"], "running");
}

class SocketCredentialTest : public PermissionTest, public testing::WithParamInterface<Encoding> {};

TEST_P(SocketCredentialTest, AreCheckedAlsoWhereTheModesWereWidened) {
  Task task = awkward({"sleep"}, {.meta = {{"name", kSecret}}});
  const std::filesystem::path socket = socket_of(task);
  for (const auto& path : {base(), pool().path(), directory_of(task)})
    chmod(path.c_str(), 0755);
  chmod(socket.c_str(), 0666);
  const ProgramResult answer = as_user(kStranger, [&] {
    RawClient client(socket, GetParam());
    if (!client.connected()) return std::string("not connected");
    client.request("info");
    client.request("kill");
    std::string all = "answer: ";
    while (auto message = client.receive(Milliseconds(10'000)))
      all += message->dump() + "\n";
    return all + (client.closed_by_peer(Milliseconds(10'000)) ? "closed" : "open");
  });
  EXPECT_EQ(answer.status, 0) << answer.err;
  EXPECT_EQ(answer.out.find(kSecret), std::string::npos) << answer.out;
  EXPECT_EQ(answer.out.find("\"result\""), std::string::npos) << answer.out;
  EXPECT_NE(answer.out.find("closed"), std::string::npos) << answer.out;
  EXPECT_EQ(task.info(true)["status"]["state"], "running");
  EXPECT_EQ(RawClient(socket, GetParam()).result("ping"), "pong");
}

INSTANTIATE_TEST_SUITE_P(Encodings, SocketCredentialTest,
                         testing::Values(Encoding::kJson, Encoding::kMsgpack),
                         [](const auto& test) { return encoding_name(test.param); });

TEST_F(PermissionTest, TheOwnerIsNotRootsAndRootMay) {
  const std::filesystem::path path = pool_of(kOwner);
  const std::filesystem::path supervisor = public_copy(BGTASK_SUPERVISOR_PROGRAM);
  const std::filesystem::path program = public_copy(AWKWARD_PROGRAM);
  const ProgramResult spawned = as_user(kOwner, [&] {
    const TaskPool own(path, options_for(supervisor));
    Task task = own.spawn({.exec = {program.string(), "report"}, .cwd = "/", .meta = {{"name", "owned"}}});
    task.wait({.timeout = Seconds(30)});
    return std::to_string(task.pid());
  });
  ASSERT_EQ(spawned.status, 0) << spawned.err;
  const pid_t pid = std::stoi(spawned.out);
  // Root sees and controls it.
  const TaskPool seen_by_root(path, options_for(supervisor));
  ASSERT_EQ(seen_by_root.search({{"meta", {{"name", "owned"}}}}).size(), 1u);
  Task task(pid, path);
  EXPECT_EQ(task.info(true)["uid"], kOwner);
  const Json report = Json::parse(task.stream("stdout").read().data);
  EXPECT_EQ(report["uid"], Json({kOwner, kOwner}));
  // A third user neither.
  const ProgramResult stranger = as_user(kStranger, [&]() -> std::string {
    try {
      return Task(pid, path).info().dump();
    } catch (const Error& error) {
      return error.code();
    }
  });
  EXPECT_TRUE(stranger.out == "denied" || stranger.out == "unsafe_pool") << stranger.out;
  task.remove();
  EXPECT_EQ(names_in(path), std::vector<std::string>());
}

TEST_F(PermissionTest, ATaskMayRunAsAnotherUserAndStaysTheSpawners) {
  chmod(base().c_str(), 0755);
  const std::filesystem::path program = public_copy(AWKWARD_PROGRAM);
  Task task = spawn({.exec = {program.string(), "report"}, .cwd = "/", .user = "nobody"});
  wait_exit(task);
  const Json report = Json::parse(task.stream("stdout").read().data);
  EXPECT_EQ(report["uid"], Json({65'534, 65'534}));
  EXPECT_EQ(report["gid"], Json({65'534, 65'534}));
  for (const Json& group : report["groups"])
    EXPECT_NE(group, 0);
  Task sleeper = spawn({.exec = {program.string(), "sleep"}, .cwd = "/", .user = "65534"});
  EXPECT_EQ(sleeper.pause(), 1u);
  EXPECT_EQ(sleeper.resume(), 1u);
  EXPECT_EQ(sleeper.remove({.grace = kNoHurry}).exited, 1u);
}

TEST_F(PermissionTest, AnotherUserIsToldOfThePoolOnlyIfHeCanEnterIt) {
  const auto variables = [&](mode_t mode) {
    chmod(base().c_str(), 0755);
    chmod(pool().path().c_str(), mode);
    Task task = spawn({.exec = {"/usr/bin/env"}, .cwd = "/", .user = "42421:42422"});
    wait_exit(task);
    return task.stream("stdout").read().data;
  };
  const std::string pool_variable = "BGTASK_POOL=" + pool().path().string() + "\n";
  const std::string closed = variables(0700);
  EXPECT_EQ(closed.find("BGTASK_POOL="), std::string::npos) << closed;
  for (const char* entry : {"HOME=/\n", "USER=42421\n", "BGTASK_PID=", "BGTASK_DATA_FD="})
    EXPECT_NE(closed.find(entry), std::string::npos) << entry;
  EXPECT_NE(variables(0755).find(pool_variable), std::string::npos);
}

TEST_F(PermissionTest, AnOrdinaryUserCannotBecomeAnother) {
  const std::filesystem::path path = pool_of(kOwner);
  const std::filesystem::path supervisor = public_copy(BGTASK_SUPERVISOR_PROGRAM);
  const ProgramResult result = as_user(kOwner, [&] {
    const TaskPool own(path, options_for(supervisor));
    try {
      own.spawn({.exec = {"/bin/true"}, .cwd = "/", .user = "root"});
    } catch (const Error& error) {
      return error.code();
    }
    return std::string("spawned");
  });
  EXPECT_EQ(result.out, "denied") << result.err;
  EXPECT_EQ(names_in(path), std::vector<std::string>());
}

/// Looks again and again at everything in a pool for a mode that is wider than it may ever be. It is a
/// process of its own: a thread could hold the allocator's lock while the tests fork.
class ModeWatcher {
 public:
  explicit ModeWatcher(const std::filesystem::path& pool) {
    EXPECT_EQ(pipe2(stop_, O_CLOEXEC), 0);
    EXPECT_EQ(pipe2(report_, O_CLOEXEC), 0);
    pid_ = fork();
    if (pid_ == 0) {
      close(stop_[1]);
      watch(pool);
    }
    close(std::exchange(stop_[0], -1));
    close(std::exchange(report_[1], -1));
    char begun = 0;
    EXPECT_EQ(read(report_[0], &begun, 1), 1);
  }
  ~ModeWatcher() {
    if (pid_ > 0) finish();
  }

  struct Findings {
    size_t looks = 0;
    std::string violations;
  };
  /// Ends the watch; what was seen in it.
  Findings finish() {
    close(stop_[1]);
    Findings findings;
    char buffer[4096];
    for (ssize_t n; (n = read(report_[0], buffer, sizeof buffer)) > 0;)
      findings.violations.append(buffer, static_cast<size_t>(n));
    close(report_[0]);
    waitpid(std::exchange(pid_, -1), nullptr, 0);
    const size_t number = findings.violations.rfind(' ') + 1;
    findings.looks = std::strtoull(findings.violations.c_str() + number, nullptr, 10);
    findings.violations.resize(number);
    return findings;
  }

 private:
  [[noreturn]] void watch(const std::filesystem::path& pool) {
    (void)!write(report_[1], "!", 1);
    size_t looks = 0;
    std::string violations;
    const auto look = [&](const std::filesystem::path& path, unsigned widest) {
      const unsigned mode = mode_of(path);
      if (mode != kGone && (mode & ~widest) != 0) violations += path.string() + " ";
    };
    pollfd stop{stop_[0], POLLIN, 0};
    for (bool last = false; !last;) {
      last = poll(&stop, 1, 0) != 0;  // one more look at all that is there by then
      if (!last) ++looks;
      for (const std::string& name : names_in(pool)) {
        look(pool / name, 0700);
        std::error_code gone_meanwhile;
        for (std::filesystem::directory_iterator files(pool / name, gone_meanwhile), end;
             !gone_meanwhile && files != end; files.increment(gone_meanwhile)) {
          look(files->path(), 0600);
        }
      }
    }
    violations += std::to_string(looks);
    (void)!write(report_[1], violations.data(), violations.size());
    _exit(0);
  }

  int stop_[2], report_[2];
  pid_t pid_;
};

class UmaskTest : public PermissionTest, public testing::WithParamInterface<mode_t> {};

TEST_P(UmaskTest, DoesNotTouchTheModesAndReachesTheChild) {
  ModeWatcher watcher(pool().path());
  std::vector<pid_t> pids;
  for (int i = 0; i < 20; ++i) {
    const ProgramResult spawned = in_child([this] {
      umask(GetParam());
      Task task = awkward({"report"});
      if (umask(0) != GetParam()) return std::string("the caller's umask was changed");
      return std::to_string(task.pid());
    });
    ASSERT_EQ(spawned.status, 0) << spawned.err;
    pids.push_back(std::stoi(spawned.out));
  }
  const ModeWatcher::Findings seen = watcher.finish();
  EXPECT_EQ(seen.violations, "");
  EXPECT_GT(seen.looks, 0u) << "it has looked while they were started";
  for (pid_t pid : pids) {
    Task task(pid, pool().path());
    // After these two no status is being published, which is under another name at first.
    wait_exit(task);
    wait_eof(task);
    EXPECT_EQ(mode_of(directory_of(task)), 0700u);
    EXPECT_EQ(mode_of(socket_of(task)), 0600u);
    for (const std::string& file : names_in(directory_of(task))) {
      EXPECT_EQ(mode_of(directory_of(task) / file), 0600u) << file;
    }
    EXPECT_EQ(Json::parse(task.stream("stdout").read().data)["umask"], GetParam());
  }
}

TEST_P(UmaskTest, IsNoHindranceToAnOrdinaryUser) {
  const std::filesystem::path path = pool_of(kOwner);
  const std::filesystem::path supervisor = public_copy(BGTASK_SUPERVISOR_PROGRAM);
  const ProgramResult result = as_user(kOwner, [&] {
    umask(GetParam());
    const TaskPool own(path, options_for(supervisor));
    Task task = own.spawn({.exec = {"/bin/echo", "hello"}, .cwd = "/"});
    task.wait({.timeout = Seconds(30)});
    const std::string data = task.stream("stdout").read().data;
    struct stat status {};
    lstat((path / std::to_string(task.pid())).c_str(), &status);
    task.remove();
    return data + std::to_string(status.st_mode & 07777);
  });
  EXPECT_EQ(result.out, "hello\n" + std::to_string(0700)) << result.err;
}

TEST_P(UmaskTest, DoesNotTouchAPoolThatIsMade) {
  const ProgramResult made = in_child([this] {
    umask(GetParam());
    TaskPool(base() / "made", {.mkdir_if_missing = MkdirIfMissing{}});
    TaskPool(base() / "wide", {.mkdir_if_missing = MkdirIfMissing{.mode = 0755}});
    return std::string();
  });
  EXPECT_EQ(made.status, 0) << made.err;
  EXPECT_EQ(mode_of(base() / "made"), 0700u);
  EXPECT_EQ(mode_of(base() / "wide"), 0755u);
}

INSTANTIATE_TEST_SUITE_P(Masks, UmaskTest, testing::Values(0000, 0077, 0777), [](const auto& test) {
  return test.param == 0 ? "None" : test.param == 0777 ? "All" : "Usual";
});

TEST_F(PermissionTest, AUserWithoutAPoolIsToldHowToGetOne) {
  const ProgramResult result = as_user(kStranger, [] {
    unsetenv("BGTASK_POOL");
    unsetenv("XDG_RUNTIME_DIR");
    try {
      TaskPool::default_pool().spawn({.exec = {"true"}});
    } catch (const Error& error) {
      return error.code() + " " + error.what();
    }
    return std::string("there was one");
  });
  EXPECT_EQ(result.out.substr(0, 10), "not_found ") << result.out << result.err;
  EXPECT_NE(result.out.find("BGTASK_POOL"), std::string::npos) << result.out;
}

TEST_F(PermissionTest, AnImpostorBehindTheSocketIsNotBelieved) {
  // A process of another user listens where root expects a task of that user's... owned by a third.
  const std::filesystem::path path = pool_of(kOwner);
  const std::filesystem::path supervisor = public_copy(BGTASK_SUPERVISOR_PROGRAM);
  const ProgramResult spawned = as_user(kOwner, [&] {
    const TaskPool own(path, options_for(supervisor));
    return std::to_string(own.spawn({.exec = {"/bin/sleep", "1000"}, .cwd = "/"}).pid());
  });
  ASSERT_EQ(spawned.status, 0) << spawned.err;
  Task task(std::stoi(spawned.out), path);
  EXPECT_EQ(task.info(true)["uid"], kOwner);
  task.disconnect();
  // The directory now claims to be a stranger's, while the owner's process still answers.
  const std::filesystem::path directory = path / spawned.out;
  EXPECT_EQ(chown(directory.c_str(), kStranger, kStranger), 0);
  Task again(task.pid(), path);
  const std::string code = error_of([&] { again.info(true); }).code();
  EXPECT_TRUE(code == "impostor" || code == "denied") << code;
  EXPECT_EQ(chown(directory.c_str(), kOwner, kOwner), 0);
  Task(task.pid(), path).remove();
}

}  // namespace
}  // namespace bgtask::e2e
