#include "client/src/following.h"

#include <fcntl.h>
#include <unistd.h>

#include <string>
#include <thread>

#include "tests/client/support.h"

namespace bgtask {
namespace {

using test::FakeServer;
using test::Peer;
using test::status_document;

constexpr pid_t kId = 10;

class FollowingTest : public test::PoolTest {
 protected:
  FollowingTest() : task(kId, path()) { make_task(kId, status_document(kId)); }
  ~FollowingTest() override { task.disconnect(); }

  /// All of stdout that is handed over.
  FollowResult follow(const FollowOptions& options) {
    return task.follow(options, [this](const Output& output) {
      for (const OutputChunk& chunk : output.chunks) {
        if (chunk.stream == "stdout") text += chunk.data;
      }
      return true;
    });
  }

  Task task;
  std::string text;
};

TEST_F(FollowingTest, EndsAfterSoManyLinesAndGoesOnWithinAPiece) {
  make_rings(kId, "one\ntwo\nthree\nfour");
  FollowOptions options{.output = {.streams = {"out"}}, .max_lines = 2};
  const FollowResult first = follow(options);
  EXPECT_EQ(first.end, FollowEnd::kLimit);
  EXPECT_EQ(text, "one\ntwo\n");
  options = {.output = {.cursor = first.next, .streams = {"out"}, .offsets = first.offsets}};
  EXPECT_EQ(follow(options).end, FollowEnd::kEnded);
  EXPECT_EQ(text, "one\ntwo\nthree\nfour");
}

TEST_F(FollowingTest, EndsAfterSoManyBytesAndGoesOnAtTheNext) {
  const std::string all(300'000, 'x');
  make_rings(kId, all);
  FollowOptions options{.output = {.streams = {"out"}}, .max_total_bytes = 100'001};
  for (FollowResult result; result.end != FollowEnd::kEnded || text.empty();) {
    const std::size_t before = text.size();
    result = follow(options);
    ASSERT_LE(text.size(), before + 100'001);
    options.output.cursor = result.next;
    options.output.offsets = result.offsets;
    if (text.size() == before) break;
  }
  EXPECT_EQ(text, all);
}

TEST_F(FollowingTest, OfNothingNothingIsAsked) {
  make_rings(kId, "out");
  EXPECT_EQ(follow({.max_lines = 0}).end, FollowEnd::kLimit);
  EXPECT_EQ(text, "");
}

TEST_F(FollowingTest, EndsWhenTheTimeIsUp) {
  make_rings(kId, "out");
  const io::UniqueFd alive = hold_lock(kId);
  FakeServer server(task_path(kId), [](Peer& peer) {
    for (Json request = peer.request(); !request.is_null(); request = peer.request()) {
      EXPECT_GT(request.at("params").at("timeout"), 0);
      peer.reply(request, {{"fired", "timeout"}, {"next", request.at("params").at("cursor")}});
    }
  });
  EXPECT_EQ(follow({.timeout = Seconds(30)}).end, FollowEnd::kTimeout);
  EXPECT_EQ(text, "out");
  task.disconnect();
}

TEST_F(FollowingTest, EndsWhenTheReaderHasGone) {
  make_rings(kId, "out");
  const io::UniqueFd alive = hold_lock(kId);
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  io::UniqueFd reader(ends[0]), writer(ends[1]);
  FakeServer server(task_path(kId), [&](Peer& peer) {
    peer.request();
    reader.reset();  // while the follower waits for the answer
    peer.wait_for_close();
  });
  EXPECT_EQ(follow({.until_hangup_of = writer.get()}).end, FollowEnd::kHangup);
  EXPECT_EQ(text, "out");
}

TEST_F(FollowingTest, FilesAndClosedDescriptorsHaveNoReaderWhoLeaves) {
  make_rings(kId, "out");
  const io::UniqueFd alive = hold_lock(kId);
  FakeServer server(task_path(kId), [](Peer& peer) {
    for (Json request = peer.request(); !request.is_null(); request = peer.request())
      peer.reply(request, {{"fired", "exit"}, {"next", 2}});
  });
  const io::UniqueFd file(::open("/dev/null", O_WRONLY | O_CLOEXEC));
  EXPECT_EQ(follow({.until_hangup_of = file.get()}).end, FollowEnd::kEnded);
  EXPECT_EQ(follow({.until_hangup_of = 1000}).end, FollowEnd::kEnded);
  task.disconnect();
}

Output output_of(std::vector<OutputChunk> chunks) {
  Output output;
  output.chunks = std::move(chunks);
  output.next = 10;
  output.offsets = OutputOffsets{100, 200, 30};
  return output;
}

TEST(FollowLimits, CutsWithinALineButNotWithinAMessage) {
  FollowLimits limits(std::nullopt, 5);
  Output output = output_of({{3, 1, "data", 28, "message"}, {4, 1, "stdout", 90, "0123456789"}});
  limits.cut(output);
  EXPECT_TRUE(limits.reached());
  ASSERT_EQ(output.chunks.size(), 1u);
  EXPECT_EQ(output.chunks[0].data, "message");
  EXPECT_EQ(output.next, 4u);
  EXPECT_EQ(output.offsets, (OutputOffsets{90, 200, 30}));
}

TEST(FollowLimits, CountLinesOfAllStreams) {
  FollowLimits limits(3, std::nullopt);
  Output output =
      output_of({{3, 1, "stdout", 80, "a\nb"}, {4, 1, "data", 29, "m"}, {5, 1, "stderr", 190, "c\nd\n"}});
  limits.cut(output);
  ASSERT_EQ(output.chunks.size(), 3u);
  EXPECT_EQ(output.chunks[2].data, "c\n");
  EXPECT_EQ(output.next, 5u);
  EXPECT_EQ(output.offsets, (OutputOffsets{100, 192, 30}));
  EXPECT_TRUE(limits.reached());
}

}  // namespace
}  // namespace bgtask
