// Limits on the number of connections, and who may connect.
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>

#include "tests/faults/protocol_fixture.h"

namespace bgtask::faults {
namespace {

constexpr size_t kPerUser = 64;
constexpr uid_t kOwner = 41'000;
constexpr uid_t kStranger = 41'001;

/// The first reply to a new client: "pong", or the word of the refusal, after which the connection is closed.
std::string answer_to(RawClient& client) {
  if (!client.connected()) return "not connected";
  client.request("ping");
  const auto reply = client.receive();
  if (!reply) return "closed";
  if (reply->value("result", "") == "pong") return "pong";
  return client.closed_by_peer(Milliseconds(5'000)) ? e2e::error_word(*reply) : "left open";
}

/// Connects until a connection is refused; accepted ones stay connected.
std::vector<std::unique_ptr<RawClient>> fill(const std::filesystem::path& socket, std::string& refusal) {
  std::vector<std::unique_ptr<RawClient>> clients;
  for (size_t i = 0; i < 2 * kPerUser; ++i) {
    // A refused client has not chosen an encoding yet, so the refusal is JSON.
    const Encoding encoding = i < kPerUser / 2 ? Encoding::kMsgpack : Encoding::kJson;
    auto one = std::make_unique<RawClient>(socket, encoding);
    refusal = answer_to(*one);
    if (refusal != "pong") break;
    clients.push_back(std::move(one));
  }
  return clients;
}

class ProtocolConnections : public ProtocolFaultTest {};

TEST_F(ProtocolConnections, G3_G9_SixtyFourOfAUserWorkTheNextIsBusyAndRoomComesBack) {
  for (int round = 0; round < scaled(5, 200); ++round) {
    std::string refusal;
    auto clients = fill(socket_of(task()), refusal);
    ASSERT_EQ(clients.size(), kPerUser - 1) << "with the polite one";
    ASSERT_EQ(refusal, "busy");
    for (auto& one : clients)
      ASSERT_EQ(one->result("ping"), "pong") << "those that are in stay in";
    for (int i = 0; i < 200; ++i)
      ASSERT_EQ(answer_to(*connect()), "busy");
    ASSERT_NO_FATAL_FAILURE(expect_served());
    // Each closed connection makes room for one.
    clients.pop_back();
    ASSERT_TRUE(eventually([&] {
      clients.push_back(connect());
      if (answer_to(*clients.back()) == "pong") return true;
      clients.pop_back();
      return false;
    }));
    ASSERT_EQ(answer_to(*connect()), "busy");
    clients.clear();
    ASSERT_TRUE(eventually([&] { return polite().result("info")["clients"] == 1; }));
  }
  expect_nothing_left();
}

TEST_F(ProtocolConnections, G3_G9_RefusedClientsThatDoNotLeaveTakeNoPlace) {
  std::string refusal;
  auto clients = fill(socket_of(task()), refusal);
  std::vector<std::unique_ptr<RawClient>> refused;
  for (int i = 0; i < 400; ++i) {
    refused.push_back(connect());  // reads nothing and does not close
    ASSERT_TRUE(refused.back()->connected()) << i;
  }
  ASSERT_NO_FATAL_FAILURE(expect_served());
  clients.clear();
  EXPECT_TRUE(eventually([&] { return answer_to(*connect()) == "pong"; }));
  refused.clear();
  expect_nothing_left();
}

TEST_F(ProtocolConnections, G11_AStrangerIsDeniedHoweverOftenAndKeepsNobodyOut) {
  const std::filesystem::path socket = socket_of(task());
  for (const auto& path : {base(), pool().path(), directory_of(task())})
    ASSERT_EQ(::chmod(path.c_str(), 0755), 0);
  ASSERT_EQ(::chmod(socket.c_str(), 0666), 0) << "as if the modes did not keep him out";
  // Connects, says whether it was denied each time, and then stays with all of them.
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const pid_t stranger = ::fork();
  if (stranger == 0) {
    const auto answers = e2e::as_user(kStranger, [&] {
      std::string first = "denied";
      std::vector<std::unique_ptr<RawClient>> clients;
      for (int i = 0; i < 300; ++i) {
        clients.push_back(std::make_unique<RawClient>(socket));
        clients.back()->request("kill");
        const auto reply = clients.back()->receive();
        const std::string word = reply ? e2e::error_word(*reply) : "closed";
        if (word != "denied" && first == "denied") first = std::to_string(i) + ": " + word;
      }
      static_cast<void>(::write(ends[1], first.data(), first.size()));
      ::sleep(60);
      return std::string();
    });
    ::_exit(0);
  }
  ::close(ends[1]);
  std::string said(100, '\0');
  const ssize_t n = ::read(ends[0], said.data(), said.size());
  said.resize(n > 0 ? static_cast<size_t>(n) : 0);
  EXPECT_EQ(said, "denied");
  EXPECT_EQ(answer_to(*connect()), "pong");
  ASSERT_NO_FATAL_FAILURE(expect_served());
  expect_nothing_left();
  for (const pid_t child : e2e::descendants(stranger))
    e2e::send_signal(child, SIGKILL);
  ::waitpid(stranger, nullptr, 0);
  ::close(ends[0]);
}

class ProtocolOwner : public FaultTest {};

TEST_F(ProtocolOwner, G3_G9_RootHasItsOwnSixtyFourBesideThoseOfTheOwner) {
  const std::filesystem::path supervisor = public_copy(BGTASK_SUPERVISOR_PROGRAM);
  const std::filesystem::path program = public_copy(AWKWARD_PROGRAM);
  const std::filesystem::path path = base() / "own";
  ASSERT_EQ(::mkdir(path.c_str(), 0700), 0);
  ASSERT_EQ(::chown(path.c_str(), kOwner, kOwner), 0);
  PoolOptions options = pool_options();
  options.supervisor_command = {supervisor.string()};
  const auto spawned = e2e::as_user(kOwner, [&] {
    return std::to_string(
        TaskPool(path, options).spawn({.exec = {program.string(), "sleep"}, .cwd = "/"}).pid());
  });
  ASSERT_EQ(spawned.status, 0) << spawned.err;
  const pid_t pid = std::stoi(spawned.out);
  const std::filesystem::path socket = path / spawned.out / "socket";
  std::string refusal;
  auto roots = fill(socket, refusal);
  EXPECT_EQ(roots.size(), kPerUser);
  EXPECT_EQ(refusal, "busy");
  const auto owners = e2e::as_user(kOwner, [&] {
    std::string word;
    const auto clients = fill(socket, word);
    return std::to_string(clients.size()) + " " + word;
  });
  EXPECT_EQ(owners.out, "64 busy") << "root, at its limit, leaves the owner his: " << owners.err;
  EXPECT_EQ(roots.front()->result("info")["uid"], kOwner);
  roots.clear();
  Task(pid, path).remove({.grace = Seconds(0)});
  EXPECT_EQ(e2e::names_in(path), std::vector<std::string>());
}

}  // namespace
}  // namespace bgtask::faults
