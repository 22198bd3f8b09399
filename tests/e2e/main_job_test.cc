// The main job: a real long-running script is spawned by one process, and found, read, paused, fed, resumed,
// killed, restarted and deleted by others; what it said is read after its end.
#include <sys/stat.h>

#include "tests/e2e/fixture.h"

namespace bgtask::e2e {
namespace {

constexpr char kScript[] = R"sh(#!/bin/sh
# A consumer of work: counts what it is given, reports progress, and never ends by itself.
echo "started as run $(bgtask info -o json "$BGTASK_PID" | tr -d ' \n' | sed 's/.*"runs":\([0-9]*\).*/\1/')"
bgtask meta stage=waiting
n=0
while read -r item; do
  n=$((n + 1))
  echo "item $n: $item"
  echo "warning about $item" >&2
  echo "{\"progress\": $n}" >&"$BGTASK_DATA_FD"
  bgtask meta "done=$n"
done
bgtask meta stage=finished
echo "finished after $n"
exit $n
)sh";

class MainJobTest : public E2eTest {
 protected:
  void SetUp() override {
    E2eTest::SetUp();
    script_ = base() / "worker.sh";
    write_whole(script_, kScript);
    chmod(script_.c_str(), 0755);
    path_ = std::filesystem::path(BGTASK_PROGRAM).parent_path().string() + ":" + std::getenv("PATH");
  }
  /// A step done by a process of its own.
  std::string step(std::vector<std::string> args, int expected = 0) {
    const std::string verb = args[0];
    const ProgramResult result = bgtask(std::move(args), {.env = {{"PATH", path_}}});
    EXPECT_EQ(result.status, expected) << verb << ": " << result.out << result.err;
    return result.out;
  }
  bool output_reaches(pid_t pid, const std::string& text, const std::string& stream = "stdout") {
    return eventually([&] {
      return bgtask({"logs", "--raw", "--stream", stream, std::to_string(pid)}).out.find(text) !=
             std::string::npos;
    });
  }
  std::filesystem::path script_;
  std::string path_;
};

TEST_F(MainJobTest, ByCommandsEachAProcessOfItsOwn) {
  // Spawned by one process…
  const std::string out = step({"run", "-i", "-m", "name=worker", "--", script_.string()});
  const pid_t pid = std::stoi(out);
  const std::string id = std::to_string(pid);
  ASSERT_EQ(out, id + "\n");

  // …found by others, by what it is,
  EXPECT_EQ(step({"ls", "-l", "name=worker", "-q"}), id + "\n");
  ASSERT_TRUE(eventually([&] {
    const Json found = Json::parse(bgtask({"ls", "-l", "stage=waiting", "-o", "json"}).out);
    return found.size() == 1 && found[0]["pid"] == pid;
  })) << "it describes itself";
  EXPECT_EQ(Json::parse(step({"info", "-o", "json", id}))["status"]["state"], "running");

  // read,
  ASSERT_TRUE(output_reaches(pid, "started as run 1\n"));
  EXPECT_EQ(step({"read", id}), "started as run 1\n");

  // paused,
  step({"pause", id});
  ASSERT_TRUE(eventually([&] {
    return Json::parse(bgtask({"info", "-o", "json", id}).out)["status"]["paused"] == true;
  }));

  // fed, while it is stopped and cannot see it,
  step({"send", id, "first\nsecond"});
  EXPECT_EQ(step({"read", id}), "");

  // resumed,
  step({"resume", id});
  ASSERT_TRUE(output_reaches(pid, "item 2: second\n"));
  EXPECT_EQ(step({"read", id}), "item 1: first\nitem 2: second\n");
  ASSERT_TRUE(output_reaches(pid, "warning about second\n", "stderr"));  // it is printed after the item
  EXPECT_EQ(step({"read", "--stream", "stderr", id}), "warning about first\nwarning about second\n");
  ASSERT_TRUE(eventually([&] {
    return matches({{"meta", {{"done", "2"}}}}, Json::parse(bgtask({"info", "-o", "json", id}).out));
  }));

  // killed,
  step({"kill", "-s", "TERM", id});
  EXPECT_EQ(bgtask({"wait", id}).status, 128 + 15);
  EXPECT_EQ(step({"ls", "--state", "exited", "-q"}), id + "\n");

  // restarted,
  step({"restart", id});
  ASSERT_TRUE(output_reaches(pid, "started as run 2\n"));
  step({"send", id, "third"});
  ASSERT_TRUE(output_reaches(pid, "item 1: third\n"));

  // ended by the end of its input, its output read after its end,
  {
    Task task(pid, pool().path());
    task.stream("stdin").close();
  }
  EXPECT_EQ(bgtask({"wait", id}).status, 1) << "one item in this run";
  EXPECT_EQ(step({"read", id}), "started as run 2\nitem 1: third\nfinished after 1\n");
  Task task(pid, pool().path());
  const MessagesResult progress = task.stream("data").messages();
  ASSERT_EQ(progress.size(), 3u);
  EXPECT_EQ(progress.messages[0].data, "{\"progress\": 1}\n");
  EXPECT_EQ(progress.messages[1].data, "{\"progress\": 2}\n");
  EXPECT_EQ(progress.messages[2].data, "{\"progress\": 1}\n");

  // and deleted.
  step({"delete", id});
  EXPECT_EQ(step({"ls", "-q"}), "");
  EXPECT_EQ(names_in(pool().path()), std::vector<std::string>());
  EXPECT_TRUE(gone(pid));
}

TEST_F(MainJobTest, ByTheLibraryEachStepInAProcessOfItsOwn) {
  const auto in_other_process = [](const std::function<std::string()>& body) {
    const ProgramResult result = in_child(body);
    EXPECT_EQ(result.status, 0) << result.err;
    return result.out;
  };
  const std::string spawned = in_other_process([this] {
    return std::to_string(
        spawn({.exec = {script_.string()}, .env = {{"PATH", path_}}, .meta = {{"name", "worker"}}}).pid());
  });
  const pid_t pid = std::stoi(spawned);
  const auto task_says = [&](const std::string& text) {
    Task task(pid, pool().path());
    return eventually([&] { return task.stream("stdout").peek(0).data.find(text) != std::string::npos; });
  };
  EXPECT_EQ(in_other_process([this] {
              return std::to_string(pool().search({{"meta", {{"name", "worker"}}}}).at(0).pid());
            }),
            spawned);
  ASSERT_TRUE(task_says("started as run 1\n"));
  EXPECT_EQ(in_other_process([&] { return Task(pid, pool().path()).stream("stdout").read().data; }),
            "started as run 1\n");
  in_other_process([&] { return std::to_string(Task(pid, pool().path()).pause()); });
  in_other_process([&] {
    Task(pid, pool().path()).stream("stdin").write_all("first\nsecond\n");
    return std::string();
  });
  in_other_process([&] { return std::to_string(Task(pid, pool().path()).resume()); });
  ASSERT_TRUE(task_says("item 2: second\n"));
  in_other_process([&] { return std::to_string(Task(pid, pool().path()).kill("TERM")); });
  EXPECT_EQ(
      in_other_process([&] {
        return Task(pid, pool().path()).wait({.timeout = Seconds(30)}).status["signal"].get<std::string>();
      }),
      "TERM");
  EXPECT_EQ(in_other_process([&] { return Task(pid, pool().path()).stream(1).read().data; }),
            "item 1: first\nitem 2: second\n")
      << "output is held after the end";
  EXPECT_EQ(in_other_process([&] { return std::to_string(Task(pid, pool().path()).restart()); }), "1");
  ASSERT_TRUE(task_says("started as run 2\n"));
  const std::string collected = in_other_process([&] {
    std::string output;
    for (const OutputChunk& chunk : Task(pid, pool().path()).remove({.collect = true}).output) {
      if (chunk.stream == "stdout") output += chunk.data;
    }
    return output;
  });
  EXPECT_EQ(collected, "started as run 2\n");
  EXPECT_EQ(names_in(pool().path()), std::vector<std::string>());
  EXPECT_TRUE(gone(pid));
}

}  // namespace
}  // namespace bgtask::e2e
