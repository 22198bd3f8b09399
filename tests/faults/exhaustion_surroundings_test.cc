// Sockets with the smallest possible buffers, and a machine without /proc.
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>

#include "tests/e2e/pattern.h"
#include "tests/faults/fault_test.h"

namespace bgtask::faults {
namespace {

using e2e::bytes_of;
using e2e::Encoding;
using e2e::names_in;
using e2e::pattern;
using e2e::RawClient;

class SmallBuffers : public FaultTest {
 protected:
  static void make_small(const RawClient& client) {
    const int least = 1;  // the kernel makes it the minimum
    ASSERT_EQ(::setsockopt(client.fd(), SOL_SOCKET, SO_RCVBUF, &least, sizeof least), 0);
    ASSERT_EQ(::setsockopt(client.fd(), SOL_SOCKET, SO_SNDBUF, &least, sizeof least), 0);
  }
};

TEST_F(SmallBuffers, G2_G3_LargeRepliesAndRequestsAreExact) {
  constexpr size_t kSize = 1 << 20, kWrite = 200'000;
  for (const Encoding encoding : {Encoding::kJson, Encoding::kMsgpack}) {
    SCOPED_TRACE(e2e::encoding_name(encoding));
    Task task = awkward({"pattern", std::to_string(kSize)}, {.buffer = 2 << 20});
    wait_eof(task);
    RawClient client(socket_of(task), encoding);
    make_small(client);
    std::string got;
    while (got.size() < kSize) {
      const Json reply = client.result("read", {{"stream", "stdout"}});
      ASSERT_TRUE(reply.is_object());
      ASSERT_EQ(reply["offset"], got.size());
      got += bytes_of(reply["data"]);
    }
    EXPECT_TRUE(got == pattern(0, kSize));
    Task echo = awkward({"echo"});
    RawClient writer(socket_of(echo), encoding);
    make_small(writer);
    const Json data = e2e::bytes_value(pattern(7, kWrite), encoding);
    EXPECT_EQ(writer.result("write", {{"stream", "stdin"}, {"data", data}})["accepted"], kWrite);
    ASSERT_TRUE(wait_limit(echo, "stdout", kWrite));
    EXPECT_TRUE(echo.stream("stdout").read().data == pattern(7, kWrite));
    EXPECT_EQ(client.result("ping"), "pong");
  }
}

TEST_F(SmallBuffers, G2_G3_AFollowerWithASmallBufferGetsEverything) {
  constexpr size_t kSize = 700'000;
  Task task = awkward({"puppet"});
  RawClient client(socket_of(task), Encoding::kMsgpack);
  make_small(client);
  client.result("subscribe", {{"events", {"output"}}});
  task.stream("stdin").write_all("pattern 0 " + std::to_string(kSize) + "\n");
  std::string got;
  while (got.size() < kSize) {
    const auto event = client.receive();
    ASSERT_TRUE(event.has_value()) << got.size();
    for (const Json& chunk : (*event)["params"]["chunks"])
      got += bytes_of(chunk["data"]);
  }
  EXPECT_TRUE(got == pattern(0, kSize));
}

class NoProc : public FaultTest {
 protected:
  /// Runs `act` in a process without /proc; returns "ok", or an error's word and text.
  std::string without_proc(const std::function<void()>& act) const {
    const e2e::ProgramResult result = e2e::in_child([&]() -> std::string {
      if (::unshare(CLONE_NEWNS) != 0 || ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
          ::mount("tmpfs", "/proc", "tmpfs", MS_NOSUID, "size=4k") != 0)
        return "cannot hide /proc";
      try {
        act();
        return "ok";
      } catch (const Error& error) {
        return error.code() + ": " + error.what();
      }
    });
    EXPECT_EQ(result.status, 0) << result.err;
    return result.out;
  }
  static void expect_names_proc(const std::string& said) {
    EXPECT_EQ(said.substr(0, 11), "not_found: ");
    EXPECT_NE(said.find("/proc"), std::string::npos) << said;
    EXPECT_NE(said.find("mount"), std::string::npos) << "no remedy: " << said;
  }
};

TEST_F(NoProc, G1_G8_SpawnSaysWhatIsMissingAndLeavesNothing) {
  expect_names_proc(without_proc([&] { spawn({.exec = {"/bin/true"}}); }));
  expect_names_proc(without_proc([&] { spawn({.exec = {"/bin/true"}, .umask = 022}); }));
  expect_names_proc(without_proc([&] {
    spawn({.exec = {"/bin/true"}, .umask = 022, .on_supervisor_death = OnSupervisorDeath::kKill});
  }));
  EXPECT_EQ(names_in(pool().path()), std::vector<std::string>{std::to_string(bystander().pid())});
  EXPECT_TRUE(eventually([] { return other_processes().size() == 2; }, kOnItsWayOut)) << "the bystander's";
}

TEST_F(NoProc, G8_WhatNeedsNoProcWorksTheRestSaysSo) {
  EXPECT_EQ(without_proc([&] {
              const auto found = pool().search({{"meta", {{"name", "bystander"}}}});
              if (found.size() != 1) throw Error("", "not found");
              static_cast<void>(Task(bystander().pid(), pool().path()).snapshot());
            }),
            "ok");
  expect_names_proc(without_proc([&] { Task(bystander().pid(), pool().path()).call("ping"); }));
}

// Without /proc gc cannot check whether the child of a lost task lives, and must not treat it as dead.
TEST_F(NoProc, G7_G8_GarbageCollectionTouchesNothingItCannotSee) {
  Task lost = awkward({"sleep"});
  const pid_t child = child_of(lost);
  kill_supervisor(lost);
  EXPECT_EQ(without_proc([&] {
              if (!pool().gc().empty()) throw Error("", "removed");
            }),
            "ok");
  // It is not removed either: the connection attempt comes first, and its error names what is missing.
  expect_names_proc(without_proc([&] { Task(lost.pid(), pool().path()).remove(); }));
  expect_names_proc(without_proc([&] { pool().adopt(lost.pid()); }));
  EXPECT_FALSE(e2e::gone(child));
  Task adopted = pool().adopt(lost.pid());
  EXPECT_EQ(adopted.info(true)["status"]["state"], "running");
}

}  // namespace
}  // namespace bgtask::faults
