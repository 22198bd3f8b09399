// Eight mebibytes of all byte values, without a final newline and far from valid UTF-8, come out as they went
// in, whichever way they are read.
#include <sys/socket.h>

#include <cstring>

#include "tests/e2e/fixture.h"
#include "tests/e2e/pattern.h"

namespace bgtask::e2e {
namespace {

constexpr uint64_t kSize = (8u << 20) - 1;

class BytesTest : public E2eTest, public testing::WithParamInterface<Rings> {
 protected:
  void SetUp() override {
    E2eTest::SetUp();
    task_.emplace(awkward({"pattern", std::to_string(kSize)}, {.buffer = 16u << 20, .rings = GetParam()}));
    ASSERT_EQ(wait_exit(*task_)["exit_code"], 0);
  }
  void TearDown() override {
    task_.reset();
    E2eTest::TearDown();
  }
  // EXPECT_EQ would print 16 MiB.
  static bool right(const std::string& bytes) { return bytes == pattern(0, kSize); }
  Task& task() { return *task_; }

 private:
  std::optional<Task> task_;
};

std::string read_raw(const std::filesystem::path& socket, Encoding encoding) {
  RawClient client(socket, encoding);
  std::string bytes;
  for (;;) {
    const Json piece =
        client.result("read", {{"stream", "stdout"}, {"offset", bytes.size()}, {"peek", true}});
    if (piece.is_null() || piece["offset"] != bytes.size()) return "gap";
    const std::string data = bytes_of(piece["data"]);
    bytes += data;
    if (bytes.size() >= piece["limit"].get<uint64_t>() || data.empty()) return bytes;
  }
}

std::string output_raw(const std::filesystem::path& socket, Encoding encoding) {
  RawClient client(socket, encoding);
  std::string bytes;
  uint64_t cursor = 0;
  for (;;) {
    const Json reply = client.result("output", {{"cursor", cursor}});
    if (reply.is_null()) return "error";
    for (const Json& chunk : reply["chunks"])
      bytes += bytes_of(chunk["data"]);
    cursor = reply["next"];
    if (reply["chunks"].empty()) return bytes;
  }
}

// Replies as they arrive, in msgpack: the byte after each key "data" tells the type of its value.
TEST_F(E2eTest, BytesInMsgpackAreBinWhateverTheyHold) {
  Task task = awkward({"puppet"});
  task.stream("stdin").write_all("out text\nerr \xff\xfe\ndata \ndata message\n");
  ASSERT_TRUE(wait_limit(task, "stdout", 5));
  ASSERT_TRUE(wait_limit(task, "stderr", 3));
  ASSERT_TRUE(wait_limit(task, "data", 2));
  const auto types_of_data = [](const std::string& bytes) {
    std::string types;
    const std::string_view key =
        "\xa4"
        "data";
    for (size_t at = bytes.find(key); at != std::string::npos; at = bytes.find(key, at + 1)) {
      if (at + key.size() == bytes.size()) break;
      if (bytes.substr(0, at).ends_with("stream")) continue;  // it is a value: the name of the stream
      const auto tag = static_cast<unsigned char>(bytes[at + key.size()]);
      const bool is_text = (tag >= 0xa0 && tag <= 0xbf) || (tag >= 0xd9 && tag <= 0xdb);
      if (tag >= 0xc4 && tag <= 0xc6) types += 'b';
      if (is_text) types += 's';
    }
    return types;
  };
  const auto types_in = [&](const std::string& method, const Json& params, size_t values) {
    RawClient client(socket_of(task), Encoding::kMsgpack);
    client.request(method, params);
    std::string bytes, types;
    eventually([&] {
      char buffer[4096];
      const ssize_t n = ::recv(client.fd(), buffer, sizeof buffer, MSG_DONTWAIT);
      if (n > 0) bytes.append(buffer, static_cast<size_t>(n));
      return (types = types_of_data(bytes)).size() >= values;
    });
    return types;
  };
  const auto read = [](Json stream, Json more = Json::object()) {
    more["stream"] = std::move(stream);
    more["peek"] = !more.contains("discard");
    return more;
  };
  EXPECT_EQ(types_in("read", read("stdout"), 1), "b");
  EXPECT_EQ(types_in("read", read("stderr"), 1), "b");
  EXPECT_EQ(types_in("read", read("stdout", {{"offset", 5}}), 1), "b") << "empty";
  EXPECT_EQ(types_in("read", read("data"), 2), "bb");
  EXPECT_EQ(types_in("output", Json::object(), 4), "bbbb");
  EXPECT_EQ(types_in("subscribe", {{"events", {"output"}}, {"cursor", 0}}, 4), "bbbb");
  EXPECT_EQ(types_in("read", read("stdout", {{"discard", true}}), 1), "b");
  EXPECT_EQ(task.call("read", read("stderr"))["data"], Json::binary({0xff, 0xfe, '\n'}));
  EXPECT_EQ(task.call("output", {{"streams", {"data"}}})["chunks"][1]["data"], "message") << "text in C++";
  EXPECT_EQ(types_in("delete", {{"collect", true}}, 3), "bbb");
}

TEST_P(BytesTest, ThroughJson) {
  EXPECT_TRUE(right(read_raw(socket_of(task()), Encoding::kJson)));
}
TEST_P(BytesTest, ThroughMsgpack) {
  EXPECT_TRUE(right(read_raw(socket_of(task()), Encoding::kMsgpack)));
}
TEST_P(BytesTest, ThroughJsonOutput) {
  EXPECT_TRUE(right(output_raw(socket_of(task()), Encoding::kJson)));
}
TEST_P(BytesTest, ThroughMsgpackOutput) {
  EXPECT_TRUE(right(output_raw(socket_of(task()), Encoding::kMsgpack)));
}

TEST_P(BytesTest, ThroughTheLibrary) {
  const ReadResult peeked = task().stream("stdout").peek();
  EXPECT_TRUE(right(peeked.data));
  EXPECT_EQ(peeked.missed, 0u);
  EXPECT_EQ(task().stream("stdout").consumed(), 0u);
  std::string followed;
  task().follow([&](const Output& output) {
    for (const OutputChunk& chunk : output.chunks)
      followed += chunk.data;
    return true;
  });
  EXPECT_TRUE(right(followed));
  EXPECT_TRUE(right(task().stream("stdout").read().data));
  EXPECT_EQ(task().stream("stdout").consumed(), kSize);
}

TEST_P(BytesTest, ThroughTheCommandLine) {
  const std::string pid = std::to_string(task().pid());
  const ProgramResult logs = bgtask({"logs", "--raw", "--stream", "stdout", pid});
  EXPECT_EQ(logs.status, 0) << logs.err;
  EXPECT_TRUE(right(logs.out));
  const ProgramResult read = bgtask({"read", pid});
  EXPECT_EQ(read.status, 0) << read.err;
  EXPECT_TRUE(right(read.out));
  EXPECT_EQ(bgtask({"read", pid}).out, "") << "read consumes";
}

INSTANTIATE_TEST_SUITE_P(Rings, BytesTest, testing::Values(Rings::kFile, Rings::kMemory),
                         [](const auto& test) { return test.param == Rings::kFile ? "File" : "Memory"; });

TEST_F(E2eTest, TheRingFileHoldsTheBytesAsTheFormatSays) {
  Task task = awkward({"pattern", std::to_string(kSize)}, {.buffer = 16u << 20});
  ASSERT_EQ(wait_exit(task)["exit_code"], 0);
  const std::string file = read_whole(directory_of(task) / "stdout");
  constexpr size_t kHeader = 4096;
  ASSERT_GE(file.size(), kHeader + kSize);
  EXPECT_EQ(file.substr(0, 8), "BGTASKRG");
  EXPECT_TRUE(file.compare(kHeader, kSize, pattern(0, kSize)) == 0);
  uint64_t capacity = 0;
  std::memcpy(&capacity, file.data() + 16, sizeof capacity);
  EXPECT_EQ(capacity, 16u << 20);
}

}  // namespace
}  // namespace bgtask::e2e
