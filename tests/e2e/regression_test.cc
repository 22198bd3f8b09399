// Defects that were found and mended, each with the case that showed it.

#include <csignal>

#include <fstream>

#include "tests/e2e/fixture.h"
#include "tests/e2e/pattern.h"

namespace bgtask::e2e {
namespace {

class RegressionTest : public E2eTest {
 protected:
  static void open_gate(const std::string& path) { std::ofstream(path) << "go\n"; }
};

// The timer of a frame's ten seconds ran on after the frame was complete.
TEST_F(RegressionTest, AFrameInTwoPiecesDoesNotCostTheConnectionLater) {
  Task task = awkward({"sleep"});
  RawClient client(socket_of(task));
  ASSERT_TRUE(client.send(R"({"jsonrpc":"2.0","id":1,)"));
  RawClient other(socket_of(task));
  EXPECT_EQ(other.result("ping"), "pong") << "the first piece has been seen";
  ASSERT_TRUE(client.send("\"method\":\"ping\"}\n"));
  EXPECT_EQ(client.receive().value_or(Json::object())["result"], "pong");
  EXPECT_EQ(other.result("wait", {{"timeout", 10.5}})["fired"], "timeout");
  EXPECT_EQ(client.result("ping"), "pong");
}

// libuv disarms a descriptor in error, and such a client was never noticed to be gone.
TEST_F(RegressionTest, ClientsThatLeaveWithUnreadRepliesAreForgotten) {
  Task task = awkward({"sleep"});
  for (int i = 0; i < 5; ++i) {
    {
      RawClient client(socket_of(task));
      client.request("ping");
      RawClient other(socket_of(task));
      EXPECT_EQ(other.result("ping"), "pong");
      ASSERT_TRUE(send_signal(task.pid(), SIGSTOP));
      client.request("wait");
    }  // closed with the reply to ping unread, before the supervisor sees the wait
    ASSERT_TRUE(send_signal(task.pid(), SIGCONT));
  }
  RawClient observer(socket_of(task));
  EXPECT_TRUE(eventually([&] { return observer.result("info")["clients"] == 1; }));
}

// Looking at the length of the next message used up the error that comes once at the sender's end.
TEST_F(RegressionTest, ABlockingDataChannelLosesNoMessageAtItsEnd) {
  Task task = awkward({"messages", "40000", "40000"}, {.buffer = 4096, .overflow = Overflow::kBlock});
  ASSERT_TRUE(wait_limit(task, "data", 1));
  std::vector<std::string> got;
  EXPECT_TRUE(eventually([&] {
    for (const DataMessage& message : task.stream("data").messages())
      got.push_back(message.data);
    return got.size() == 2;
  }));
  for (const std::string& message : got)
    EXPECT_TRUE(message == pattern(0, 40'000));
}

TEST_F(RegressionTest, AdoptingFindsWhatADescendantOfADeadChildStillHolds) {
  const std::string first = make_fifo("first").string();
  const std::string second = make_fifo("second").string();
  Task task = shell("(read x < " + second + "; echo late) & read x < " + first + "; echo meanwhile");
  const pid_t child = task.info(true)["child_pid"].get<pid_t>();
  kill_supervisor(task);
  open_gate(first);
  ASSERT_TRUE(eventually([&] { return gone(child); }));
  Task adopted = pool().adopt(task.pid());
  EXPECT_EQ(adopted.info(true)["runs"], 1) << "taking over is no new run";
  EXPECT_EQ(adopted.info()["descendants"], 1);
  open_gate(second);
  ASSERT_TRUE(wait_limit(adopted, "stdout", 15));
  EXPECT_EQ(adopted.stream("stdout").read().data, "meanwhile\nlate\n");
}

TEST_F(RegressionTest, TheLockIsHeldAgainAfterAdoption) {
  const std::string lock = (base() / "lock").string();
  Task task = spawn({.exec = {"sleep", "1000"}, .lock_file = lock});
  kill_supervisor(task);
  Task adopted = pool().adopt(task.pid());
  EXPECT_EQ(error_of([&] { spawn({.exec = {"true"}, .lock_file = lock}); }).code(), "locked");
  adopted.remove();
  spawn({.exec = {"true"}, .lock_file = lock}).remove();
}

// The group of a child that is not the supervisor's own is signalled process by process, each through its
// handle.
TEST_F(RegressionTest, TheGroupOfAnAdoptedTaskIsSignalled) {
  Task task = shell("sleep 1000 & echo started; exec sleep 1000");  // neither ends with the other
  ASSERT_TRUE(wait_limit(task, "stdout", 8));
  kill_supervisor(task);
  Task adopted = pool().adopt(task.pid());
  EXPECT_EQ(adopted.kill("TERM"), 2u);
  EXPECT_EQ(wait_exit(adopted)["running"], false);
  EXPECT_TRUE(eventually([&] { return adopted.info(true)["descendants"] == 0; }));
}

TEST_F(RegressionTest, TheFirstWriteToAStdinTheTaskHasClosedIsRefused) {
  Task task = shell("exec 0<&-; echo closed; sleep 1000", {.stdin = StdinMode::kPipe});
  ASSERT_TRUE(wait_limit(task, "stdout", 7));
  EXPECT_EQ(error_of([&] { task.stream("stdin").write("lost?"); }).code(), "stdin_closed");
}

// "exited" is told after the last byte, also where that byte has to wait for room.
TEST_F(RegressionTest, TheEndWaitsForOutputThatABlockingRingHasNoRoomFor) {
  Task task = awkward({"pattern", "100000"}, {.buffer = 65'536, .overflow = Overflow::kBlock});
  ASSERT_TRUE(eventually([&] { return task.info(true)["child_pid"].is_null(); }));
  EXPECT_EQ(task.info(true)["status"]["state"], "running");
  std::string got;
  EXPECT_TRUE(eventually([&] {
    got += task.stream("stdout").read().data;
    return got.size() == 100'000;
  }));
  EXPECT_TRUE(got == pattern(0, 100'000));
  EXPECT_EQ(wait_exit(task)["exit_code"], 0);
}

// Collecting was entered again from its own sending, and pages came out of order.
TEST_F(RegressionTest, CollectedOutputComesInOrderAndBeforeTheReceipt) {
  Task task = awkward({"pattern", "100000"}, {.buffer = 65'536, .overflow = Overflow::kBlock});
  ASSERT_TRUE(eventually([&] { return task.info(true)["child_pid"].is_null(); }));
  RawClient client(socket_of(task));
  client.request("subscribe", {{"events", {"exit", "stream", "output"}}, {"cursor", 1000}});
  client.request("wait", {{"for", {"eof"}}});
  const Json id = client.request("delete", {{"collect", true}});
  std::string got;
  for (;;) {
    const auto message = client.receive();
    ASSERT_TRUE(message.has_value());
    if (message->value("id", Json()) == id) break;
    if (message->value("method", Json()) != "event" || (*message)["params"]["event"] != "output") continue;
    for (const Json& chunk : (*message)["params"]["chunks"]) {
      if (chunk["offset"] == got.size()) got += bytes_of(chunk["data"]);
    }
  }
  EXPECT_TRUE(got == pattern(0, 100'000)) << got.size();
}

}  // namespace
}  // namespace bgtask::e2e
