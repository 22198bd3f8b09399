// Every second interruptible call returns EINTR; no request and no result changes.
#include <algorithm>

#include "tests/e2e/pattern.h"
#include "tests/faults/exhaustion_requests.h"

namespace bgtask::faults {
namespace {

using e2e::RawClient;

constexpr char kReads[] = "inject=read,pread64:error=EINTR:when=";
constexpr char kOthers[] =
    "inject=readv,write,writev,recvfrom,recvmsg,sendto,sendmsg,accept4,connect,poll,ppoll,epoll_wait,"
    "epoll_pwait,wait4,waitid,flock,fallocate,pwrite64,nanosleep,clock_nanosleep:error=EINTR:when=1+2";

std::vector<std::string> interrupting() {
  return {"-e", kReads + std::string("1+2"), "-e", kOthers};
}

class Interrupted : public RequestTest {
 protected:
  /// The command line program, interrupted.
  e2e::ProgramResult run(std::vector<std::string> args, const std::string& input = "") const {
    // The dynamic loader does not retry its reads, so they are exempt.
    std::vector<std::string> command = {"strace",    "-qqq",  "-o",
                                        "/dev/null", "-e",    kReads + std::string("5+2"),
                                        "-e",        kOthers, BGTASK_PROGRAM};
    command.insert(command.end(), args.begin(), args.end());
    return e2e::run_program(command, {.input = input});
  }
};

TEST_F(Interrupted, G8_EveryRequestSucceedsInAnInterruptedSupervisor) {
  for (const RequestKind& kind : request_kinds()) {
    SCOPED_TRACE(kind.name);
    Task task = task_for(kind, pool());
    Json reply;
    {
      Attached tracer(task.pid(), interrupting());
      RawClient client(socket_of(task));
      reply = ask(client, kind);
      EXPECT_TRUE(reply.is_object() && reply.contains("result")) << reply;
      expect_works(task, kind, reply);
    }
    end(task);
  }
}

TEST_F(Interrupted, G1_G2_G4_AWholeLifeUnderAnInterruptedSupervisor) {
  constexpr size_t kSize = 500'000;
  const TaskPool in = traced(interrupting());
  for (const OnSupervisorDeath policy : {OnSupervisorDeath::kKeep, OnSupervisorDeath::kKill}) {
    Task task = in.spawn({.exec = awkward_command({"pattern", std::to_string(kSize)}),
                          .lock_file = (base() / "lock").string(),
                          .on_supervisor_death = policy});
    EXPECT_EQ(wait_exit(task)["exit_code"], 0);
    wait_eof(task);
    EXPECT_TRUE(task.stream("stdout").read().data == e2e::pattern(0, kSize));
    EXPECT_TRUE(task.restart());
    EXPECT_EQ(wait_exit(task)["exit_code"], 0);
    task.remove();
    EXPECT_EQ(e2e::error_of([&] { in.spawn({.exec = {"/nonexistent"}}); }).os_error(), ENOENT);
  }
}

TEST_F(Interrupted, G7_AdoptionByAnInterruptedSupervisor) {
  const std::string fifo = make_fifo("commands").string();
  Task task = awkward({"puppet", fifo});
  e2e::write_whole(fifo, "out before\n");
  ASSERT_TRUE(wait_limit(task, "stdout", 7));
  kill_supervisor(task);
  Task adopted = traced(interrupting()).adopt(task.pid());
  e2e::write_whole(fifo, "out after\nexit 4\n");
  ASSERT_TRUE(wait_limit(adopted, "stdout", 13));
  EXPECT_EQ(adopted.stream("stdout").read().data, "before\nafter\n");
  EXPECT_EQ(wait_exit(adopted)["state"], "exited");
}

TEST_F(Interrupted, G1_G2_G6_TheCommandLineGivesTheSameResults) {
  const e2e::ProgramResult started = run({"run", "-i", "--", AWKWARD_PROGRAM, "puppet"});
  EXPECT_EQ(started.status, 0) << started.err;
  const std::string pid = std::to_string(std::atoi(started.out.c_str()));
  EXPECT_EQ(started.out, pid + "\n");
  EXPECT_EQ(run({"send", pid}, "pattern 0 200000\n").status, 0);
  Task task(std::atoi(pid.c_str()), pool().path());
  ASSERT_TRUE(wait_limit(task, "stdout", 200'000));
  EXPECT_EQ(run({"ls", "-o", "name"}).out, bgtask({"ls", "-o", "name"}).out);
  EXPECT_EQ(Json::parse(run({"info", "-o", "json", pid}).out)["pid"], task.pid());
  EXPECT_TRUE(run({"logs", "--raw", pid}).out == e2e::pattern(0, 200'000));
  EXPECT_TRUE(run({"read", pid}).out == e2e::pattern(0, 200'000));
  EXPECT_EQ(run({"meta", pid, "key=value"}).status, 0);
  EXPECT_EQ(pool().search({{"meta", {{"key", "value"}}}}).size(), 1u);
  EXPECT_EQ(run({"pause", pid}).status, 0);
  EXPECT_EQ(run({"resume", pid}).status, 0);
  EXPECT_EQ(run({"send", pid}, "exit 6\n").status, 0);
  EXPECT_EQ(run({"wait", pid}).status, 6);
  EXPECT_EQ(run({"restart", pid}).status, 0);
  EXPECT_EQ(run({"kill", pid}).status, 0);
  EXPECT_EQ(run({"wait", pid}).status, 128 + SIGKILL);
  EXPECT_EQ(run({"delete", pid}).status, 0);
  EXPECT_EQ(run({"gc"}).status, 0);
  EXPECT_EQ(pool().search(Json::object()).size(), 1u) << "the bystander";
}

}  // namespace
}  // namespace bgtask::faults
