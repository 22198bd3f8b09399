#include "tests/faults/exhaustion_requests.h"

#include <algorithm>

#include "protocol/wire/error_code.h"
#include "protocol/wire/methods.h"

namespace bgtask::faults {
namespace {

bool child_has_state(Task& task, char state) {
  const Json child = task.info(true)["child_pid"];
  return child.is_number_integer() && e2e::process_state(child.get<pid_t>()) == state;
}

void expect_running(Task& task) {
  EXPECT_EQ(task.info(true)["status"]["running"], true);
}

}  // namespace

std::vector<RequestKind> request_kinds() {
  const Json out = {{"stream", "stdout"}};
  std::vector<RequestKind> kinds = {
      {"ping", "ping"},
      {"methods", "methods"},
      {"info", "info"},
      {"apply_meta", "apply_meta", {{"meta", {{"key", "value"}, {"deep", {{"key", 1}}}}}}},
      {"kill_process", "kill", {{"signal", "CONT"}, {"scope", "process"}}},
      {"kill_group", "kill", {{"signal", "CONT"}}},
      {"kill_tree", "kill", {{"signal", "CONT"}, {"scope", "tree"}}},
      {"kill_dead",
       "kill",
       {{"signal", "KILL"}, {"scope", "tree"}},
       false,
       true,
       [](Task& task) {
         const WaitResult end = task.wait({.timeout = Seconds(20)});
         EXPECT_EQ(end.fired, "exit");
         EXPECT_EQ(end.status["signal"], "KILL");
       }},
      {"pause", "pause", Json::object(), false, false,
       [](Task& task) { EXPECT_TRUE(eventually([&] { return child_has_state(task, 'T'); })); }},
      {"resume", "resume", Json::object(), false, false,
       [](Task& task) { EXPECT_TRUE(eventually([&] { return child_has_state(task, 'S'); })); }},
      {"restart", "restart", Json::object(), true, true, expect_running},
      {"restart_running", "restart", Json::object(), false, false, expect_running, expect_running},
      {"stop",
       "stop",
       {{"grace", 1}},
       false,
       true,
       [](Task& task) {
         const WaitResult end = task.wait({.timeout = Seconds(20)});
         EXPECT_EQ(end.fired, "exit");
         EXPECT_EQ(end.status["reason"], "stopped");
       }},
      {"stream_info", "stream_info", out},
      {"read_peek", "read", {{"stream", "stdout"}, {"offset", 0}, {"peek", true}}},
      {"read_data", "read", {{"stream", "data"}, {"offset", 0}, {"peek", true}}},
      {"read",
       "read",
       out,
       false,
       true,
       {},
       [](Task& task) { EXPECT_EQ(task.stream("stdout").peek(0).data, "before\n"); }},
      {"discard",
       "read",
       {{"stream", "stdout"}, {"discard", true}},
       false,
       true,
       [](Task& task) { EXPECT_EQ(task.stream("stdout").start(), 7u); }},
      {"output", "output"},
      {"write", "write", {{"stream", "stdin"}, {"data", "out more\n"}}},
      {"close",
       "close",
       {{"stream", "stdin"}, {"immediate", true}},
       false,
       true,
       [](Task& task) { EXPECT_EQ(task.wait({.timeout = Seconds(20)}).status["exit_code"], 0); }},
      {"wait", "wait", {{"for", {"exit", "output"}}, {"cursor", 1'000}, {"timeout", 0.001}}},
      {"wait_ended", "wait", Json::object(), true, true},
      {"subscribe", "subscribe", {{"events", {"output", "exit", "meta", "stream"}}, {"cursor", 0}}},
      {"unsubscribe", "unsubscribe"},
      {"delete", "delete", {{"grace", 0}}, false, true},
      {"delete_collect", "delete", {{"grace", 0}, {"collect", true}}, true, true},
  };
  // A method added to the table later must have its cases too.
  const Json methods = wire::describe_methods();
  for (const auto& [name, about] : methods.items()) {
    const bool known =
        std::any_of(kinds.begin(), kinds.end(), [&](const RequestKind& kind) { return kind.method == name; });
    EXPECT_TRUE(known) << name;
  }
  return kinds;
}

Task RequestTest::task_for(const RequestKind& kind, const TaskPool& in) const {
  Task task = in.spawn({.exec = awkward_command({"puppet"})});
  task.stream("stdin").write_all("out before\ndata message\n");
  EXPECT_TRUE(wait_limit(task, "stdout", 7) && wait_limit(task, "data", 1));
  if (kind.needs_ended) {
    task.stream("stdin").write_all("exit 3\n");
    EXPECT_EQ(wait_exit(task)["exit_code"], 3);
  }
  task.disconnect();
  return task;
}

int RequestTest::failed_checks() {
  return testing::UnitTest::GetInstance()->current_test_info()->result()->total_part_count();
}

Json RequestTest::ask(e2e::RawClient& client, const RequestKind& kind) {
  const Json id = client.request(kind.method, kind.params);
  while (auto message = client.receive()) {
    if (message->contains("id")) return *message;
  }
  EXPECT_TRUE(client.closed_by_peer(Milliseconds(1))) << "neither an answer nor the end of the connection";
  return nullptr;
}

void RequestTest::expect_typed(const Json& reply) {
  if (reply.is_null() || reply.contains("result")) return;
  EXPECT_TRUE(error_code(e2e::error_word(reply)).has_value()) << reply;
}

bool RequestTest::is_deleted(Task& task, const Json& reply) const {
  constexpr Milliseconds kUntilItIsDone{500};
  const auto files_are_gone = [&] { return !std::filesystem::exists(directory_of(task)); };
  // Without a reply the request may or may not have been carried out. The files vanish before the supervisor.
  const bool done = reply.is_null() ? eventually(files_are_gone, kUntilItIsDone) : reply.contains("result");
  return done && eventually([&] { return e2e::gone(task.pid()); });
}

void RequestTest::expect_works(Task& task, const RequestKind& kind, const Json& reply) const {
  if (kind.method == "delete" && is_deleted(task, reply)) return;
  ASSERT_FALSE(e2e::gone(task.pid())) << "the supervisor died";
  if (kind.failed && !reply.is_null() && !reply.contains("result")) kind.failed(task);
  if (kind.succeeded && !reply.is_null() && reply.contains("result")) kind.succeeded(task);
  EXPECT_EQ(task.call("ping"), "pong");
  const Json info = task.info(true);
  const bool may_end = kind.needs_fresh || kind.needs_ended;
  if (!may_end) {
    EXPECT_EQ(info["status"]["running"], true) << info["status"];
    task.resume();
    const uint64_t limit = task.stream("stdout").limit();
    task.stream("stdin").write_all("out still here\n");
    EXPECT_TRUE(wait_limit(task, "stdout", limit + 11));
  }
  task.disconnect();
}

void RequestTest::end(Task& task) const {
  const pid_t pid = task.pid();
  try {
    task.remove({.grace = Seconds(0)});
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), "not_found") << error.what();
  }
  EXPECT_TRUE(eventually([&] { return e2e::gone(pid); }));
  EXPECT_FALSE(std::filesystem::exists(directory_of(task)));
}

}  // namespace bgtask::faults
