// Eight mebibytes of all byte values, without a final newline and far from valid UTF-8, come out as they went
// in, whichever way they are read.
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
