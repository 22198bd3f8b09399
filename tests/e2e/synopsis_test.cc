// The synopsis of the original, transcribed line by line.
#include <unistd.h>

#include <iostream>
#include <sstream>

#include "tests/e2e/fixture.h"

namespace bgtask::e2e {
namespace {

class SynopsisTest : public E2eTest {
 protected:
  void SetUp() override {
    E2eTest::SetUp();
    // The caller of the synopsis uses the default pool; this test's is it by its environment.
    std::filesystem::create_directories(base() / "opt/scripts");
    script_ = (base() / "opt/scripts/foo.pl").string();
    std::filesystem::create_symlink(SYNOPSIS_PROGRAM, script_);
  }
  std::string script_;
};

TEST_F(SynopsisTest, RunsAsATest) {
  // my $task= RapidApp::BgTask->spawn(
  //   exec => [ qw( /opt/scripts/foo.pl -n -t /tmp/bar.txt ) ],
  //   env => { DEBUG_STUFF => 1 },
  //   meta => { name => 'Hello World', myDataStruct => MyObject->new({x =>'y'}) },
  //   retainOutput => 1000000 # retain up to one MB of output even after it has been read
  // );
  Task spawned = bgtask::TaskPool::default_pool().spawn(
      {.exec = {script_, "-n", "-t", "/tmp/bar.txt"},
       .env = {{"DEBUG_STUFF", "1"}},
       .meta = {{"name", "Hello World"}, {"myDataStruct", {{"x", "y"}}}},
       .retain_output = 1'000'000});
  ASSERT_TRUE(wait_limit(spawned, "stderr", 11));  // the script has got as far as its last line

  // my @runningTasks= RapidApp::BgTask->search( status => { running => 1 } );
  std::vector<Task> running_tasks = bgtask::search({{"status", {{"running", 1}}}});
  ASSERT_EQ(running_tasks.size(), 1u);

  // for my $task (@runningTasks) {
  for (Task& task : running_tasks) {
    // $task->pause();
    task.pause();
    // $task->applyMeta('Paused by '.$$);
    task.apply_meta("Paused by " + std::to_string(getpid()));
  }
  // }
  const pid_t pid = running_tasks[0].pid();
  EXPECT_EQ(pid, spawned.pid());

  // my $task= RapidApp::BgTask->new($pid);
  Task task(pid);

  // print "Bytes ".$task->stream(1)->start." - ".$task->stream(1)->limit." available on STDOUT\n";
  std::ostringstream print;
  print << "Bytes " << task.stream(1).start() << " - " << task.stream(1).limit() << " available on STDOUT\n";
  EXPECT_EQ(print.str(), "Bytes 0 - 11 available on STDOUT\n");

  // print "Bytes ".$task->stream(2)->start." - ".$task->stream(2)->limit." available on STDERR\n";
  print.str("");
  print << "Bytes " << task.stream(2).start() << " - " << task.stream(2).limit() << " available on STDERR\n";
  EXPECT_EQ(print.str(), "Bytes 0 - 11 available on STDERR\n");

  // my @datagrams= $task->stream('data')->read; # read all available messages
  std::vector<std::string> datagrams;
  for (const DataMessage& message : task.stream("data").messages())
    datagrams.push_back(message.data);
  EXPECT_TRUE(datagrams.empty()) << "the script sends none";

  // my $stdout= $task->stream('stdout')->read; # read all available bytes
  const auto stdout_bytes = task.stream("stdout").read();
  EXPECT_EQ(stdout_bytes.data, "Hello World");

  // my $stdoutSegment= $task->stream('stdout')->read(12, 35); # bytes [12 .. 34] if they are still available
  const auto stdout_segment = task.stream("stdout").read(12, 35);
  EXPECT_EQ(stdout_segment.data, "") << "there are only eleven";
  EXPECT_EQ(stdout_segment.missed, 0u);
  EXPECT_EQ(task.stream("stdout").read(6, 11).data, "World") << "retained after it has been read";

  // What became of it all:
  const Json& info = task.info(true);
  EXPECT_EQ(info["status"]["paused"], true);
  EXPECT_EQ(info["meta"], (Json{{"name", "Hello World"},
                                {"myDataStruct", {{"x", "y"}}},
                                {"target", "-n"},
                                {"purpose", "World Domination"},
                                {"note", "Paused by " + std::to_string(getpid())}}));
  EXPECT_EQ(info["command"], (Json{script_, "-n", "-t", "/tmp/bar.txt"}));

  task.resume();
  task.stream("stdin").write_all("one\ntwo\nthree\n");
  task.stream("stdin").close();
  EXPECT_EQ(wait_exit(task)["exit_code"], 3) << "it has read three lines";
}

TEST_F(SynopsisTest, TheMethodsOfTheOriginalAreThere) {
  Task task = bgtask::spawn({.exec = {script_}});

  // $bool = $task->connect( \%failReason = undef )
  EXPECT_TRUE(Task(task.pid()).connect());
  Error fail_reason;
  EXPECT_TRUE(Task(task.pid()).connect(fail_reason));
  EXPECT_EQ(fail_reason.code(), "");
  Task nobody(1);
  EXPECT_FALSE(nobody.connect(fail_reason));
  EXPECT_EQ(fail_reason.code(), "not_found");
  EXPECT_EQ(error_of([&] { nobody.connect(); }).code(), "not_found");

  // $task->disconnect
  task.disconnect();

  // $task->info( $getFreshCopy=0 )
  task.info();
  Task(task.pid()).apply_meta({{"changed", true}});
  EXPECT_FALSE(task.info()["meta"].contains("changed"));
  EXPECT_TRUE(task.info(true)["meta"].contains("changed"));

  // $task->callRemoteMethod
  EXPECT_EQ(task.call("ping"), "pong");

  // $task->pause( $bool=true ), $task->resume
  EXPECT_EQ(task.pause(), 1u);
  EXPECT_EQ(task.pause(false), 1u);
  EXPECT_EQ(task.resume(), 1u);

  // $task->kill( $signal='KILL' )
  EXPECT_EQ(task.kill(), 1u);
  EXPECT_EQ(wait_exit(task)["signal"], "KILL");

  // $task->restart: has no effect if the job is still running
  EXPECT_TRUE(task.restart());
  EXPECT_FALSE(task.restart());

  // $task->delete: killing its job, collecting any remaining output, and disappearing from existence
  ASSERT_TRUE(eventually([&] { return task.stream("stderr").limit() >= 11; }));
  task.stream("stdout").read();
  task.stream("stderr").read();
  const RemoveReceipt receipt = task.remove({.collect = true});
  EXPECT_EQ(receipt.signalled, 1u);
  EXPECT_FALSE(bgtask::TaskPool::default_pool().task(task.pid()).has_value());
}

}  // namespace
}  // namespace bgtask::e2e
