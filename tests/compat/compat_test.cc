// Every recording of an earlier version is understood by this one, and what a later one wrote is refused by
// name.
#include <sys/stat.h>

#include <algorithm>
#include <sstream>

#include "protocol/wire/codec.h"
#include "protocol/wire/limits.h"
#include "tests/e2e/fixture.h"

namespace bgtask::compat {
namespace {

namespace fs = std::filesystem;
using e2e::Encoding;

std::vector<std::string> recordings() {
  std::vector<std::string> versions;
  for (const auto& entry : fs::directory_iterator(COMPAT_RECORDINGS)) {
    if (entry.is_directory()) versions.push_back(entry.path().filename());
  }
  std::sort(versions.begin(), versions.end());
  return versions;
}

class Compatibility : public e2e::E2eTest, public testing::WithParamInterface<std::string> {
 protected:
  static fs::path recorded(const std::string& file) {
    return fs::path(COMPAT_RECORDINGS) / GetParam() / file;
  }

  static std::vector<Json> messages(const std::string& name, Encoding encoding) {
    const bool json = encoding == Encoding::kJson;
    wire::Framer framer(wire::kMaxStatusFile, wire::reply_limits());
    framer.feed(e2e::read_whole(recorded(name + (json ? ".jsonl" : ".msgpack"))));
    std::vector<Json> found;
    while (auto frame = framer.next()) {
      EXPECT_TRUE(*frame) << "a recorded message is not understood";
      if (!*frame) break;
      found.push_back(std::move(**frame));
    }
    EXPECT_FALSE(framer.in_frame()) << "something is left over";
    return found;
  }

  /// The recorded task as a dead one in the pool.
  Task put_into_pool() {
    const fs::path directory = pool().path() / "4000001";
    fs::create_directory(directory);
    chmod(directory.c_str(), 0700);
    fs::copy(recorded("task"), directory);
    e2e::write_whole(directory / "lock", "");
    for (const auto& file : fs::directory_iterator(directory))
      chmod(file.path().c_str(), 0600);
    return Task(4000001, pool().path());
  }
};

/// Whether everything that is in `older` is in `newer`, with the same type. What was added since is fine.
void expect_same_shape(const Json& older, const Json& newer, const std::string& where) {
  if (older.is_null() || newer.is_null()) return;  // known in one, not in the other
  const bool numbers = older.is_number() && newer.is_number();
  // Since 0.2 the bytes of a stream are `bin` in msgpack also where they are text.
  const bool bytes = older.is_string() && newer.is_binary() && where.ends_with(".data");
  EXPECT_TRUE(numbers || bytes || older.type() == newer.type())
      << where << ": " << older << " became " << newer;
  if (!older.is_object() || !newer.is_object()) return;
  for (const auto& [key, value] : older.items()) {
    ASSERT_TRUE(newer.contains(key)) << where << " has lost '" << key << "'";
    expect_same_shape(value, newer[key], where + "." + key);
  }
}

class Conversation : public Compatibility {
 protected:
  void hold(Encoding encoding) {
    const std::vector<Json> requests = messages("requests", encoding),
                            replies = messages("replies", encoding);
    ASSERT_GT(requests.size(), 17u) << "every method is in it";
    Task task = spawn({.exec = {"/bin/sh", "-c", "printf '{\"progress\": 10}' >&3; cat"}, .buffer = 4096});
    ASSERT_TRUE(wait_limit(task, "data", 1));
    e2e::RawClient client(socket_of(task), encoding);
    for (const Json& request : requests) {
      SCOPED_TRACE(request["method"].get<std::string>());
      const auto old = std::find_if(replies.begin(), replies.end(), [&](const Json& reply) {
        return reply.value("id", Json(nullptr)) == request["id"];
      });
      ASSERT_NE(old, replies.end());
      client.request(request["method"].get<std::string>(), request["params"], request["id"]);
      std::optional<Json> reply;
      do {
        reply = client.receive();
        ASSERT_TRUE(reply.has_value());
      } while (!reply->contains("id"));
      EXPECT_EQ((*reply)["id"], request["id"]);
      if (old->contains("error")) {
        EXPECT_EQ((*reply)["error"]["code"], (*old)["error"]["code"]);
        EXPECT_EQ(e2e::error_word(*reply), e2e::error_word(*old));
      } else {
        expect_same_shape((*old)["result"], (*reply)["result"], "the reply");
      }
    }
  }
};

TEST_P(Conversation, G13_InJsonIsHeldAsItWas) {
  hold(Encoding::kJson);
}

TEST_P(Conversation, G13_InMsgpackIsHeldAsItWas) {
  hold(Encoding::kMsgpack);
}

INSTANTIATE_TEST_SUITE_P(Recordings, Conversation, testing::ValuesIn(recordings()), [](const auto& test) {
  std::string name = test.param;
  std::replace(name.begin(), name.end(), '.', '_');
  return "version_" + name;
});

using RecordedTask = Compatibility;

TEST_P(RecordedTask, G13_IsFoundAndItsOutputIsReadable) {
  Task task = put_into_pool();
  ASSERT_EQ(pool().search({{"meta", {{"name", "kept"}}}}).size(), 1u);
  const Json info = task.snapshot();
  EXPECT_EQ(info["status"]["state"], "lost");
  EXPECT_EQ(info["status"]["exit_code"], 7);
  EXPECT_EQ(info["meta"]["tags"], Json({"a", "b"}));
  std::string printed;
  for (int i = 0; i < 1000; ++i)
    printed += "line " + std::to_string(i) + "\n";
  const Json& out = info["streams"]["stdout"];
  EXPECT_EQ(out["limit"], printed.size());
  EXPECT_EQ(out["start"], printed.size() - 4096);
  EXPECT_EQ(out["lost"], printed.size() - 4096);
  EXPECT_EQ(task.stream("stdout").peek().data, printed.substr(printed.size() - 4096));
  EXPECT_EQ(task.stream("stderr").peek().data, "warning\n") << "two bytes had been consumed";
  EXPECT_EQ(task.stream("data").messages().messages.at(0).data, "{\"progress\": 50}");
  std::string merged;
  for (const OutputChunk& chunk : task.output().chunks)
    merged += chunk.stream == "stdout" ? chunk.data : "";
  EXPECT_EQ(merged, printed.substr(printed.size() - 4096));
}

TEST_P(RecordedTask, G13_IsAdoptedAndRunsAgain) {
  put_into_pool();
  Task task = pool().adopt(4000001);
  EXPECT_EQ(task.info(true)["status"]["exit_code"], 7);
  const uint64_t before = task.stream("stdout").limit();
  EXPECT_TRUE(task.restart());
  wait_exit(task);
  EXPECT_EQ(task.info(true)["status"]["exit_code"], 7);
  EXPECT_EQ(task.stream("stdout").limit(), 2 * before) << "offsets go on counting";
  task.remove();
}

TEST_P(RecordedTask, G13_OfALaterVersionIsAMismatch) {
  Task task = put_into_pool();
  const fs::path status = pool().path() / "4000001" / "status";
  Json document = Json::parse(e2e::read_whole(status));
  document["protocol"] = 2;
  e2e::write_whole(status, document.dump());
  const Error error = e2e::error_of([&] { task.snapshot(); });
  EXPECT_EQ(error.code(), "version_mismatch");
  EXPECT_NE(std::string(error.what()).find("1"), std::string::npos)
      << "it tells what is understood: " << error.what();
  std::vector<SkippedEntry> skipped;
  EXPECT_TRUE(pool().search(Json::object(), &skipped).empty());
  ASSERT_EQ(skipped.size(), 1u);
  EXPECT_EQ(skipped[0].reason.code(), "version_mismatch");
  EXPECT_EQ(pool().gc(), std::vector<pid_t>()) << "what is not understood is not removed";
  fs::remove_all(pool().path() / "4000001");
}

TEST_P(RecordedTask, G13_WithALaterRingIsAMismatch) {
  Task task = put_into_pool();
  const fs::path ring = pool().path() / "4000001" / "stdout";
  std::string bytes = e2e::read_whole(ring);
  bytes[8] = 99;  // the version follows the eight bytes of the magic (docs/ring-format.md)
  e2e::write_whole(ring, bytes);
  EXPECT_EQ(e2e::error_of([&] { task.stream("stdout").peek(); }).code(), "version_mismatch");
}

INSTANTIATE_TEST_SUITE_P(Recordings, RecordedTask, testing::ValuesIn(recordings()), [](const auto& test) {
  std::string name = test.param;
  std::replace(name.begin(), name.end(), '.', '_');
  return "version_" + name;
});

}  // namespace
}  // namespace bgtask::compat
