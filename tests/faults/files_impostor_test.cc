// Another user listens on a task's socket: the client names that user and sends nothing.
#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>

#include "tests/faults/files_fixture.h"

namespace bgtask::faults {
namespace {

/// A process of another user that listens on a socket, says "pong" to everything, and remembers what it
/// heard.
class Impostor {
 public:
  Impostor(const std::filesystem::path& socket, uid_t uid) {
    EXPECT_EQ(::pipe2(heard_, O_CLOEXEC), 0);
    pid_ = ::fork();
    if (pid_ == 0) be(socket, uid);
    ::close(heard_[1]);
    char ready = 0;
    EXPECT_EQ(::read(heard_[0], &ready, 1), 1) << "it listens";
  }
  Impostor(const Impostor&) = delete;
  Impostor& operator=(const Impostor&) = delete;
  /// Waits until it has heard something.
  void expect_hears() const {
    pollfd heard{heard_[0], POLLIN, 0};
    EXPECT_EQ(::poll(&heard, 1, static_cast<int>(e2e::kPatience.count())), 1);
  }
  /// Ends it; every byte that it was sent.
  std::string heard() {
    ::kill(pid_, SIGTERM);
    ::waitpid(pid_, nullptr, 0);
    std::string all;
    char buffer[4096];
    for (ssize_t n; (n = ::read(heard_[0], buffer, sizeof buffer)) > 0;)
      all.append(buffer, static_cast<size_t>(n));
    ::close(heard_[0]);
    return all;
  }

 private:
  [[noreturn]] void be(const std::filesystem::path& path, uid_t uid) const {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int listening = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    // Bound while still root, because the user may not write there; the kernel records who calls listen.
    if (::bind(listening, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) ::_exit(1);
    ::chmod(path.c_str(), 0666);
    if (::setresgid(uid, uid, uid) != 0 || ::setresuid(uid, uid, uid) != 0) ::_exit(2);
    if (::listen(listening, 100) != 0) ::_exit(3);
    (void)!::write(heard_[1], "r", 1);
    for (;;) {
      const int client = ::accept4(listening, nullptr, nullptr, SOCK_CLOEXEC);
      char buffer[4096];
      for (ssize_t n; (n = ::recv(client, buffer, sizeof buffer, 0)) > 0;)
        (void)!::write(heard_[1], buffer, static_cast<size_t>(n));
      ::close(client);
    }
  }
  int heard_[2] = {-1, -1};
  pid_t pid_ = -1;
};

class FilesImpostor : public FilesTest {
 protected:
  /// The supervisor is stopped meanwhile, because it would restore its socket.
  void replace_socket(const std::filesystem::path& directory) {
    const pid_t supervisor = std::stoi(directory.filename());
    ASSERT_TRUE(e2e::send_signal(supervisor, SIGSTOP));
    ASSERT_TRUE(eventually([&] { return e2e::process_state(supervisor) == 'T'; }));
    std::filesystem::rename(directory / "socket", directory / "true-socket");
  }
  void restore_socket(const std::filesystem::path& directory) {
    std::filesystem::remove(directory / "socket");
    std::filesystem::rename(directory / "true-socket", directory / "socket");
    ASSERT_TRUE(e2e::send_signal(std::stoi(directory.filename()), SIGCONT));
  }
};

/// Every call that needs the supervisor.
std::map<std::string, std::function<std::string()>> calls_to(pid_t pid, const std::filesystem::path& path) {
  const auto call = [&](auto act) {
    return [=] {
      Task task(pid, path);
      return act(task);
    };
  };
  return {
      {"connect", call([](Task& task) { return std::to_string(task.connect()); })},
      {"info", call([](Task& task) { return task.info(true).dump(); })},
      {"ping", call([](Task& task) { return task.call("ping").dump(); })},
      {"meta", call([](Task& task) {
         return task.apply_meta({{"secret", "a word"}}).dump();
       })},
      {"kill", call([](Task& task) { return std::to_string(task.kill("USR1")); })},
      {"pause", call([](Task& task) { return std::to_string(task.pause()); })},
      {"restart", call([](Task& task) { return std::to_string(task.restart()); })},
      {"remove", call([](Task& task) { return std::to_string(task.remove().signalled); })},
      {"wait", call([](Task& task) { return task.wait({.timeout = Seconds(1)}).fired; })},
      {"read", call([](Task& task) { return task.stream(1).read().data; })},
      {"write", call([](Task& task) { return std::to_string(task.stream(0).write("a word").accepted); })},
  };
}

TEST_F(FilesImpostor, G10_G11_NobodyTalksToAnotherUserBehindTheSocket) {
  const std::filesystem::path path = pool_of(kOwner);
  const pid_t pid = spawn_as(kOwner, path, {.exec = {"/bin/sleep", "1000"}});
  const std::filesystem::path directory = path / std::to_string(pid);
  ::chmod(path.c_str(), 0711);  // so that only the peer's uid reveals the impostor
  replace_socket(directory);
  {
    Impostor impostor(directory / "socket", kStranger);
    for (const uid_t caller : {uid_t{0}, kOwner}) {
      for (const auto& [what, attempt] : calls_to(pid, path)) {
        const std::string words = told(caller, attempt);
        EXPECT_EQ(words.rfind("impostor user 54321 answers", 0), 0u) << what << ": " << words;
      }
    }
    const std::string number = std::to_string(pid);
    for (const std::string verb : {"info", "kill", "pause", "restart", "delete", "wait", "read"}) {
      const e2e::ProgramResult result = bgtask({"--pool", path.string(), verb, number});
      EXPECT_EQ(result.status, 125) << verb;
      EXPECT_EQ(result.out, "") << verb;
      EXPECT_NE(result.err.find("user 54321 answers"), std::string::npos) << verb << ": " << result.err;
    }
    EXPECT_EQ(impostor.heard(), "") << "not a byte of a request";
  }
  restore_socket(directory);
  Task task(pid, path);
  EXPECT_EQ(task.info(true)["status"]["state"], "running");
  task.remove();
}

TEST_F(FilesImpostor, G10_ARootsImpostorIsRootAndBelieved) {
  // The other direction of the same check: root may take a user's task over.
  const std::filesystem::path path = pool_of(kOwner);
  const pid_t pid = spawn_as(kOwner, path, {.exec = {"/bin/sleep", "1000"}});
  const std::filesystem::path directory = path / std::to_string(pid);
  replace_socket(directory);
  {
    Impostor impostor(directory / "socket", 0);
    const std::string words = told(0, [&] {
      Task task(pid, path);
      task.set_timeout(Seconds(0.3));
      return task.call("ping").dump();
    });
    EXPECT_EQ(words.rfind("unresponsive ", 0), 0u) << words;
    impostor.expect_hears();
    EXPECT_NE(impostor.heard(), "");
  }
  restore_socket(directory);
  Task(pid, path).remove();
}

TEST_F(FilesImpostor, G10_ASocketThatLeadsElsewhereIsNotFollowed) {
  // A user links root's task into one of the user's tasks: root must not act on the wrong task.
  const std::filesystem::path path = pool_of(kOwner);
  const pid_t pid = spawn_as(kOwner, path, {.exec = {"/bin/sleep", "1000"}});
  const std::filesystem::path directory = path / std::to_string(pid);
  Task victim = awkward({"puppet"}, {.meta = {{"name", "victim"}}});
  replace_socket(directory);
  for (const bool absolute : {true, false}) {
    const std::filesystem::path target = socket_of(victim);
    ASSERT_EQ(::symlink((absolute ? target : std::filesystem::relative(target, directory)).c_str(),
                        (directory / "socket").c_str()),
              0);
    for (const auto& [what, attempt] : calls_to(pid, path)) {
      const std::string words = words_of(attempt);
      EXPECT_EQ(words.rfind("denied ", 0), 0u) << what << ": " << words;
    }
    EXPECT_NE(bgtask({"--pool", path.string(), "kill", std::to_string(pid)}).status, 0);
    std::filesystem::remove(directory / "socket");
  }
  EXPECT_EQ(victim.info(true)["status"]["state"], "running");
  EXPECT_EQ(victim.info()["meta"], Json({{"name", "victim"}}));
  restore_socket(directory);
  Task(pid, path).remove();
  victim.remove();
}

}  // namespace
}  // namespace bgtask::faults
