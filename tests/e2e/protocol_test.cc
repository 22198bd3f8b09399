// JSON-RPC on the socket: ids, notifications, pipelining, overtaking, half-closing, malformed requests.
#include "tests/e2e/fixture.h"

#include <sys/socket.h>

#include <set>

namespace bgtask::e2e {
namespace {

class ProtocolTest : public E2eTest, public testing::WithParamInterface<Encoding> {
 protected:
  Task start() { return awkward({"puppet"}); }
  Json request_of(const Json& id, const std::string& method, const Json& params = Json::object()) {
    return {{"jsonrpc", "2.0"}, {"id", id}, {"method", method}, {"params", params}};
  }
};

INSTANTIATE_TEST_SUITE_P(Encodings, ProtocolTest, testing::Values(Encoding::kJson, Encoding::kMsgpack),
                         [](const auto& test) { return encoding_name(test.param); });

TEST_P(ProtocolTest, IdsComeBackUnchanged) {
  Task task = start();
  RawClient client(socket_of(task), GetParam());
  const std::vector<Json> ids = {
      1, 0, -5, "text", "", "grün", nullptr, int64_t{1} << 53, std::string(256, 'i')};
  for (const Json& id : ids) {
    client.send(client.encode(request_of(id, "ping")));
    const auto reply = client.receive();
    ASSERT_TRUE(reply.has_value());
    EXPECT_EQ(*reply, (Json{{"jsonrpc", "2.0"}, {"id", id}, {"result", "pong"}}));
  }
}

TEST_P(ProtocolTest, ParamsMayBeLeftOut) {
  Task task = start();
  RawClient client(socket_of(task), GetParam());
  client.send(client.encode({{"jsonrpc", "2.0"}, {"id", 1}, {"method", "ping"}}));
  const auto reply = client.receive();
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ((*reply)["result"], "pong");
}

TEST_P(ProtocolTest, WhatIsNoRequestIsRefusedAndTheConnectionStays) {
  Task task = start();
  RawClient client(socket_of(task), GetParam());
  const std::vector<Json> wrong = {
      Json::object(),
      {{"jsonrpc", "2.0"}, {"id", 2}, {"method", "ping"}, {"extra", true}},
      {{"jsonrpc", "2.0"}, {"id", "three"}, {"method", "ping"}, {"params", {1, 2}}},
      {{"jsonrpc", "2.0"}, {"id", std::string(257, 'i')}, {"method", "ping"}},
      {{"jsonrpc", "2.0"}, {"id", 1}},
      {{"id", 1}, {"method", "ping"}},
      {{"jsonrpc", "1.0"}, {"id", 1}, {"method", "ping"}},
      {{"jsonrpc", 2.0}, {"id", 1}, {"method", "ping"}},
      {{"jsonrpc", "2.0"}, {"id", 1}, {"method", 5}},
      {{"jsonrpc", "2.0"}, {"id", Json::object()}, {"method", "ping"}},
      {{"jsonrpc", "2.0"}, {"id", Json::array()}, {"method", "ping"}},
      {{"jsonrpc", "2.0"}, {"id", 1.5}, {"method", "ping"}},
      {{"jsonrpc", "2.0"}, {"id", true}, {"method", "ping"}},
      {{"jsonrpc", "2.0"}, {"id", 1}, {"method", "ping"}, {"params", "text"}},
  };
  for (const Json& request : wrong) {
    client.send(client.encode(request));
    const auto reply = client.receive();
    ASSERT_TRUE(reply.has_value()) << request;
    ASSERT_TRUE(reply->contains("error")) << request << *reply;
    EXPECT_EQ((*reply)["error"]["code"], -32600) << request << *reply;
    const Json id = request.value("id", Json());
    const bool readable = id.is_number_integer() || (id.is_string() && id.get<std::string>().size() <= 256);
    EXPECT_EQ((*reply)["id"], readable ? id : Json()) << request << *reply;
  }
  EXPECT_EQ(client.result("ping"), "pong");
}

TEST_P(ProtocolTest, BatchesAreRefused) {
  Task task = start();
  RawClient client(socket_of(task), GetParam());
  EXPECT_EQ(client.result("ping"), "pong");  // the encoding is chosen
  client.send(client.encode(Json::array({request_of(1, "ping"), request_of(2, "ping")})));
  const auto reply = client.receive();
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ((*reply)["error"]["code"], -32600) << *reply;
  EXPECT_EQ((*reply)["id"], nullptr);
  EXPECT_EQ(client.result("ping"), "pong");
}

TEST_P(ProtocolTest, ARequestWithoutIdIsCarriedOutAndNotAnswered) {
  Task task = start();
  RawClient client(socket_of(task), GetParam());
  client.send(client.encode(
      {{"jsonrpc", "2.0"}, {"method", "apply_meta"}, {"params", {{"meta", {{"silent", true}}}}}}));
  client.send(client.encode({{"jsonrpc", "2.0"}, {"method", "no_such_method"}}));
  client.send(client.encode({{"jsonrpc", "2.0"}, {"method", "kill"}, {"params", {{"signal", 0}}}}));
  const Json info = client.result("info");
  EXPECT_TRUE(client.events.empty()) << client.events[0];
  EXPECT_EQ(info["meta"]["silent"], true);
}

TEST_P(ProtocolTest, APipelineIsAnsweredWhole) {
  Task task = start();
  RawClient client(socket_of(task), GetParam());
  std::string bytes;
  for (int i = 0; i < 500; ++i)
    bytes += client.encode(request_of(i, i % 3 == 0 ? "info" : "ping"));
  ASSERT_TRUE(client.send(bytes));
  std::set<int> answered;
  for (int i = 0; i < 500; ++i) {
    const auto reply = client.receive();
    ASSERT_TRUE(reply.has_value()) << i;
    EXPECT_TRUE(reply->contains("result")) << *reply;
    answered.insert((*reply)["id"].get<int>());
  }
  EXPECT_EQ(answered.size(), 500u);
}

TEST_P(ProtocolTest, RequestsMayArriveByteByByte) {
  Task task = start();
  RawClient client(socket_of(task), GetParam());
  for (char c : client.encode(request_of("slow", "ping")) + client.encode(request_of("second", "ping"))) {
    ASSERT_TRUE(client.send(std::string_view(&c, 1)));
  }
  EXPECT_EQ(client.receive().value_or(Json::object())["id"], "slow");
  EXPECT_EQ(client.receive().value_or(Json::object())["id"], "second");
}

TEST_P(ProtocolTest, RepliesOvertakeARequestThatWaits) {
  Task task = start();
  RawClient client(socket_of(task), GetParam());
  client.send(client.encode(request_of("exit", "wait", {{"for", {"exit"}}})) +
              client.encode(request_of("output", "wait", {{"for", {"output"}}})) +
              client.encode(request_of("ping", "ping")));
  EXPECT_EQ(client.receive().value_or(Json::object())["id"], "ping");
  client.send(client.encode(request_of("write", "write", {{"stream", 0}, {"data", "out x\n"}})));
  std::set<Json> ids;
  for (int i = 0; i < 2; ++i)
    ids.insert(client.receive().value_or(Json::object())["id"]);
  EXPECT_EQ(ids, (std::set<Json>{"write", "output"}));
  client.send(client.encode(request_of("kill", "kill")));
  ids.clear();
  for (int i = 0; i < 2; ++i)
    ids.insert(client.receive().value_or(Json::object())["id"]);
  EXPECT_EQ(ids, (std::set<Json>{"kill", "exit"}));
}

TEST_P(ProtocolTest, AfterAHalfCloseTheRepliesStillCome) {
  Task task = start();
  RawClient client(socket_of(task), GetParam());
  client.send(client.encode(request_of("waits", "wait", {{"for", {"exit"}}, {"timeout", 0.2}})) +
              client.encode(request_of("at once", "ping")));
  client.half_close();
  EXPECT_EQ(client.receive().value_or(Json::object())["id"], "at once");
  const Json waited = client.receive().value_or(Json::object());
  EXPECT_EQ(waited["id"], "waits");
  EXPECT_EQ(waited["result"]["fired"], "timeout");
  EXPECT_TRUE(client.closed_by_peer());
}

TEST_P(ProtocolTest, AfterAHalfCloseASubscriptionEndsWithWhatIsDue) {
  Task task = start();
  task.stream("stdin").write_all("out first\nout second\n");
  ASSERT_TRUE(wait_limit(task, "stdout", 13));
  RawClient client(socket_of(task), GetParam());
  client.send(client.encode(
      request_of("s", "subscribe", {{"events", {"output", "exit", "meta", "stream"}}, {"cursor", 0}})));
  client.half_close();
  EXPECT_EQ(client.receive().value_or(Json::object())["id"], "s");
  std::string output;
  while (const auto event = client.receive()) {
    for (const Json& chunk : (*event)["params"].value("chunks", Json::array()))
      output += bytes_of(chunk["data"]);
  }
  EXPECT_EQ(output, "first\nsecond\n");
  EXPECT_TRUE(client.closed_by_peer());
}

TEST_P(ProtocolTest, AfterAHalfCloseASubscriptionLastsAsLongAsARequestWaits) {
  Task task = start();
  RawClient client(socket_of(task), GetParam());
  client.send(client.encode(request_of("s", "subscribe", {{"events", {"output", "exit"}}})) +
              client.encode(request_of("w", "wait", {{"for", {"exit"}}})));
  client.half_close();
  EXPECT_EQ(client.receive().value_or(Json::object())["id"], "s");
  task.stream("stdin").write_all("out later\nexit 3\n");
  bool waited = false, told = false;
  std::string output;
  while (const auto message = client.receive()) {
    waited = waited || message->value("id", Json()) == "w";
    if (!message->contains("params")) continue;
    const Json& params = message->at("params");
    told = told || params["event"] == "exit";
    for (const Json& chunk : params.value("chunks", Json::array()))
      output += bytes_of(chunk["data"]);
  }
  EXPECT_TRUE(waited);
  EXPECT_TRUE(told);
  EXPECT_EQ(output, "later\n");
  EXPECT_TRUE(client.closed_by_peer());
}

TEST_P(ProtocolTest, StreamsAreNamesOrNumbers) {
  Task task = start();
  task.stream("stdin").write_all("out one\nerr two\n");
  ASSERT_TRUE(wait_limit(task, "stdout", 4));
  ASSERT_TRUE(wait_limit(task, "stderr", 4));
  RawClient client(socket_of(task), GetParam());
  for (const Json& streams : {Json{2}, Json{"stderr"}}) {
    const Json chunks = client.result("output", {{"streams", streams}})["chunks"];
    ASSERT_EQ(chunks.size(), 1u) << streams;
    EXPECT_EQ(chunks[0]["stream"], "stderr") << streams;
  }
  EXPECT_EQ(client.result("output", {{"streams", {1, "stderr"}}})["chunks"].size(), 2u);
  EXPECT_TRUE(client.result("subscribe", {{"events", {"output"}}, {"streams", {2, 1}}}).contains("next"));
  for (const Json& streams : {Json{0}, Json{3}, Json{"stdin"}, Json{1.0}, Json(1)})
    EXPECT_EQ(error_word(client.call("output", {{"streams", streams}})), "bad_argument") << streams;
}

TEST_P(ProtocolTest, ClientsAreCounted) {
  Task task = start();
  RawClient observer(socket_of(task), GetParam());
  const int before = observer.result("info")["clients"];
  EXPECT_GE(before, 1);
  {
    RawClient another(socket_of(task), GetParam());
    EXPECT_EQ(another.result("info")["clients"], before + 1);
  }
  EXPECT_TRUE(eventually([&] { return observer.result("info")["clients"] == before; }));
}

TEST_P(ProtocolTest, RepliesArePaged) {
  constexpr size_t kMaxReply = 1024 * 1024;
  Task task = awkward({"pattern", "3000000"}, {.buffer = 4u << 20});
  wait_exit(task);
  RawClient client(socket_of(task), GetParam());
  const Json piece = client.result("read", {{"stream", 1}, {"peek", true}, {"count", 3'000'000}});
  EXPECT_LE(client.encode(piece).size(), kMaxReply);
  EXPECT_GT(bytes_of(piece["data"]).size(), 100'000u);
  EXPECT_LT(bytes_of(piece["data"]).size(), 3'000'000u);
  EXPECT_EQ(piece["limit"], 3'000'000);
  const Json output = client.result("output", {{"max_bytes", 1 << 30}});
  EXPECT_LE(client.encode(output).size(), kMaxReply + 64 * 1024);
}

TEST_F(E2eTest, MalformedJsonIsSaidAndTheConnectionStays) {
  Task task = awkward({"sleep"});
  RawClient client(socket_of(task));
  for (const char* line : {"{", "{]", "{\"jsonrpc\": \"2.0\", }", "nonsense", "{\"id\": 1} trailing",
                           "{\"method\": \"\xff\xfe\"}", "{\"a\": 01}", "{\"a\": \"\\ud800\"}"}) {
    client.send(std::string(line) + "\n");
    const auto reply = client.receive();
    ASSERT_TRUE(reply.has_value()) << line;
    ASSERT_TRUE(reply->contains("error")) << line << *reply;
    const int code = (*reply)["error"]["code"];
    EXPECT_EQ(code, -32700) << line << *reply;
    EXPECT_EQ((*reply)["id"], nullptr);
  }
  EXPECT_EQ(client.result("ping"), "pong");
}

TEST_F(E2eTest, AFirstByteOfNeitherEncodingIsRefusedAtOnce) {
  Task task = awkward({"sleep"});
  for (const char* first : {"G", "\"", "1", "\x05", "\xc0", "\xa5"}) {
    RawClient client(socket_of(task));
    ASSERT_TRUE(client.send(first));
    const auto reply = client.receive(Milliseconds(5'000));  // half of what a frame may take
    ASSERT_TRUE(reply.has_value()) << first;
    EXPECT_EQ((*reply)["error"]["code"], -32700) << *reply;
    EXPECT_EQ((*reply)["id"], nullptr) << *reply;
    EXPECT_TRUE(client.closed_by_peer(Milliseconds(5'000))) << first;
  }
  RawClient blanks(socket_of(task));
  ASSERT_TRUE(blanks.send(" \r\n\t\n"));
  EXPECT_EQ(blanks.result("ping"), "pong");
  RawClient batch(socket_of(task), Encoding::kMsgpack);
  ASSERT_TRUE(batch.send("\x91\x80"));
  const auto reply = batch.receive();
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ((*reply)["error"]["code"], -32600) << *reply;
}

TEST_F(E2eTest, InfoHasEveryKeyOfTheContract) {
  Task task = awkward({"sleep"}, {.cwd = "/", .meta = {{"name", "Hello World"}}});
  const Json info = task.info(true);
  for (const char* key :
       {"pid", "uid", "version", "protocol", "persistent", "on_disk", "command", "cwd", "meta", "child_pid",
        "descendants", "runs", "clients", "started_at", "ended_at", "status", "rusage", "streams"}) {
    EXPECT_TRUE(info.contains(key)) << key;
  }
  for (const char* key : {"state", "running", "paused", "exit_code", "signal", "core_dumped", "reason"}) {
    EXPECT_TRUE(info["status"].contains(key)) << key;
  }
  for (const char* key : {"user_seconds", "system_seconds", "max_rss"}) {
    EXPECT_TRUE(info["rusage"].contains(key)) << key;
  }
  for (const char* key : {"pending", "written", "eof"}) {
    EXPECT_TRUE(info["streams"]["stdin"].contains(key)) << key;
  }
  for (const char* stream : {"stdout", "stderr", "data"}) {
    for (const char* key : {"start", "consumed", "limit", "lost", "eof", "error", "capacity"}) {
      EXPECT_TRUE(info["streams"][stream].contains(key)) << stream << "." << key;
    }
  }
  EXPECT_EQ(info["pid"], task.pid());
  EXPECT_EQ(info["uid"], getuid());
  EXPECT_EQ(info["protocol"], 1);
  EXPECT_EQ(info["persistent"], true);
  EXPECT_EQ(info["on_disk"], false) << "/dev/shm is tmpfs";
  EXPECT_EQ(info["command"], Json(awkward_command({"sleep"})));
  EXPECT_EQ(info["cwd"], "/");
  EXPECT_EQ(info["meta"], (Json{{"name", "Hello World"}}));
  EXPECT_EQ(info["runs"], 1);
  EXPECT_EQ(info["descendants"], 0);
  EXPECT_EQ(info["ended_at"], nullptr);
  EXPECT_EQ(parent_of(info["child_pid"]), task.pid());
  EXPECT_EQ(info["status"], (Json{{"state", "running"},
                                  {"running", true},
                                  {"paused", false},
                                  {"exit_code", nullptr},
                                  {"signal", nullptr},
                                  {"core_dumped", false},
                                  {"reason", nullptr}}));
  EXPECT_EQ(info["streams"]["stdout"], (Json{{"start", 0},
                                             {"consumed", 0},
                                             {"limit", 0},
                                             {"lost", 0},
                                             {"eof", false},
                                             {"error", nullptr},
                                             {"gap", false},
                                             {"capacity", 1'048'576}}));
  const Json published = Json::parse(read_whole(directory_of(task) / "status"));
  for (const char* key : {"clients", "descendants"})
    EXPECT_FALSE(published.contains(key)) << key;
  for (const char* key : {"pid", "command", "cwd", "meta", "child_pid", "status", "streams", "started_at"}) {
    EXPECT_TRUE(published.contains(key)) << key;
  }
  const Json by_cli = Json::parse(bgtask({"info", "-o", "json", std::to_string(task.pid())}).out);
  EXPECT_EQ(by_cli["command"], info["command"]);
  EXPECT_EQ(by_cli["status"], info["status"]);
}

TEST_F(E2eTest, OnADiskTheSameAndInfoSaysSo) {
  std::string directory = "/var/tmp/bgtask-e2e-XXXXXX";
  ASSERT_NE(mkdtemp(directory.data()), nullptr);
  {
    const TaskPool disk(directory + "/pool", pool_options());
    Task task = disk.spawn({.cmd = "printf text"});
    wait_exit(task);
    EXPECT_EQ(task.stream("stdout").read().data, "text");
    // Whether /var/tmp is a disk is a matter of the machine; statfs says.
    const ProgramResult type = run_program({"stat", "-f", "-c", "%T", directory});
    EXPECT_EQ(task.info(true)["on_disk"], type.out != "tmpfs\n" && type.out != "ramfs\n") << type.out;
    task.remove();
  }
  std::filesystem::remove_all(directory);
}

TEST_F(E2eTest, MetaIsMergedDeeplyAndNullRemoves) {
  Task task = awkward({"sleep"}, {.meta = {{"a", {{"x", 1}, {"y", 2}}}, {"b", "old"}}});
  EXPECT_EQ(task.apply_meta({{"a", {{"y", nullptr}, {"z", 3}}}, {"b", {1, 2}}, {"c", nullptr}}),
            (Json{{"a", {{"x", 1}, {"z", 3}}}, {"b", {1, 2}}}));
  EXPECT_EQ(task.info(true)["meta"], (Json{{"a", {{"x", 1}, {"z", 3}}}, {"b", {1, 2}}}));
  EXPECT_EQ(task.snapshot()["meta"], task.info()["meta"]) << "published too";
  EXPECT_EQ(task.apply_meta(Json("just a word"))["note"], "just a word");
  Task info_cache(task.pid(), pool().path());
  info_cache.info();
  task.apply_meta({{"later", true}});
  EXPECT_FALSE(info_cache.info()["meta"].contains("later")) << "info() is cached";
  EXPECT_TRUE(info_cache.info(true)["meta"].contains("later"));
  // 256 KiB are the limit of the whole, and nothing is changed by what goes beyond.
  for (int i = 0; i < 5; ++i)
    task.apply_meta({{"piece" + std::to_string(i), std::string(50'000, 'p')}});
  EXPECT_EQ(error_of([&] {
              task.apply_meta({{"too much", std::string(50'000, 'p')}});
            }).code(),
            "bad_argument");
  EXPECT_EQ(task.info(true)["meta"].size(), 9u);
}

}  // namespace
}  // namespace bgtask::e2e
