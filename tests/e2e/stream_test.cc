// Positions of byte streams: what is consumed, retained, discarded, overwritten, to the byte.
#include <sys/stat.h>

#include "tests/e2e/fixture.h"
#include "tests/e2e/pattern.h"

namespace bgtask::e2e {
namespace {

using StreamTest = E2eTest;

constexpr char kText[] = "0123456789abcdefghijABCDEFGHIJ0123456789abcdefghij";  // 50 bytes

std::string text(size_t begin, size_t end) {
  return std::string(kText).substr(begin, end - begin);
}

TEST_F(StreamTest, ReadConsumesAndPeekDoesNot) {
  Task task = awkward({"puppet"});
  task.stream("stdin").write_all("out one\n");
  ASSERT_TRUE(wait_limit(task, "stdout", 4));
  Stream out = task.stream("stdout");
  EXPECT_EQ(out.peek().data, "one\n");
  EXPECT_EQ(out.peek().data, "one\n");
  EXPECT_EQ(out.consumed(), 0u);
  const ReadResult read = out.read();
  EXPECT_EQ(read.data, "one\n");
  EXPECT_EQ(read.offset, 0u);
  EXPECT_EQ(read.consumed, 4u);
  EXPECT_EQ(read.limit, 4u);
  EXPECT_EQ(read.lost, 0u);
  EXPECT_EQ(read.missed, 0u);
  EXPECT_FALSE(read.eof);
  EXPECT_EQ(out.consumed(), 4u);
  EXPECT_EQ(out.read().data, "");
  EXPECT_EQ(out.peek().data, "");
  task.stream("stdin").write_all("out two\n");
  ASSERT_TRUE(wait_limit(task, "stdout", 8));
  const ReadResult second = out.read();
  EXPECT_EQ(second.offset, 4u);
  EXPECT_EQ(second.data, "two\n");
}

TEST_F(StreamTest, ASegmentIsGivenOrWhatIsGoneIsSaid) {
  Task task = shell(std::string("printf ") + kText);
  wait_exit(task);
  Stream out = task.stream("stdout");
  EXPECT_EQ(out.peek(12, 35).data, text(12, 35));
  EXPECT_EQ(out.consumed(), 0u);

  const ReadResult taken = out.read(12, 35);
  EXPECT_EQ(taken.offset, 12u);
  EXPECT_EQ(taken.data, text(12, 35));
  EXPECT_EQ(taken.missed, 0u);
  EXPECT_EQ(taken.consumed, 35u) << "what it skipped is consumed too";
  EXPECT_EQ(taken.start, 35u);
  EXPECT_EQ(taken.lost, 0u) << "consumed is not lost";

  const ReadResult again = out.read(12, 35);
  EXPECT_EQ(again.data, "");
  EXPECT_EQ(again.missed, 23u);

  const ReadResult overlapping = out.peek(30, 40);
  EXPECT_EQ(overlapping.missed, 5u);
  EXPECT_EQ(overlapping.offset, 35u);
  EXPECT_EQ(overlapping.data, text(35, 40));

  const ReadResult past = out.peek(60, 70);
  EXPECT_EQ(past.data, "");
  EXPECT_EQ(past.missed, 0u) << "it has not been written yet";
  EXPECT_EQ(out.read().data, text(35, 50));
}

TEST_F(StreamTest, ReadingBackwardsDoesNotUnconsume) {
  Task task = shell(std::string("printf ") + kText, {.retain_output = 4096});
  wait_exit(task);
  EXPECT_EQ(task.stream(1).read(0, 40).consumed, 40u);
  EXPECT_EQ(task.stream(1).read(10, 20).data, text(10, 20));
  EXPECT_EQ(task.stream(1).consumed(), 40u);
  EXPECT_EQ(task.stream(1).read().data, text(40, 50));
}

TEST_F(StreamTest, RetainedBytesStayReadable) {
  Task task = shell(std::string("printf ") + kText, {.retain_output = 20});
  wait_exit(task);
  EXPECT_EQ(task.stream("stdout").read().data, kText);
  EXPECT_EQ(task.stream("stdout").start(), 30u);
  EXPECT_EQ(task.stream("stdout").peek(30, 50).data, text(30, 50));
  const ReadResult partly = task.stream("stdout").read(12, 35);
  EXPECT_EQ(partly.missed, 18u);
  EXPECT_EQ(partly.offset, 30u);
  EXPECT_EQ(partly.data, text(30, 35));
}

TEST_F(StreamTest, DiscardLeavesNothingWhateverRetainSays) {
  Task task = shell(std::string("printf ") + kText, {.retain_output = 4096});
  wait_exit(task);
  Stream out = task.stream("stdout");
  const ReadResult part = out.discard(20);
  EXPECT_EQ(part.data, "");
  EXPECT_EQ(part.start, 20u);
  EXPECT_EQ(part.consumed, 20u);
  EXPECT_EQ(part.lost, 0u);
  EXPECT_EQ(out.peek(10, 30).data, text(20, 30));
  EXPECT_EQ(out.discard().start, 50u);
  EXPECT_EQ(out.peek(0).data, "");
}

TEST_F(StreamTest, TheStreamsAreApart) {
  Task task = shell("printf out; printf error >&2");
  wait_exit(task);
  EXPECT_EQ(task.stream("stdout").read().data, "out");
  EXPECT_EQ(task.stream("err").read().data, "error");
  EXPECT_EQ(task.stream(2).limit(), 5u);
  EXPECT_EQ(task.stream(1).limit(), 3u);
}

TEST_F(StreamTest, ASmallRingKeepsTheLastBytesExactly) {
  Task task = awkward({"pattern", "1048576"}, {.buffer = 65'536});
  ASSERT_EQ(wait_exit(task)["exit_code"], 0);
  const Json info = task.stream("stdout").info();
  EXPECT_EQ(info["capacity"], 65'536);
  EXPECT_EQ(info["limit"], 1'048'576);
  EXPECT_EQ(info["start"], 983'040);
  EXPECT_EQ(info["consumed"], 983'040);
  EXPECT_EQ(info["lost"], 983'040);
  const ReadResult all = task.stream("stdout").peek(0);
  EXPECT_EQ(all.offset, 983'040u);
  EXPECT_EQ(all.missed, 983'040u);
  EXPECT_EQ(all.lost, 983'040u);
  EXPECT_TRUE(all.data == pattern(983'040, 65'536));
  for (Encoding encoding : {Encoding::kJson, Encoding::kMsgpack}) {
    RawClient client(socket_of(task), encoding);
    const Json reply =
        client.result("read", {{"stream", 1}, {"offset", 983'000}, {"count", 100}, {"peek", true}});
    EXPECT_EQ(reply["offset"], 983'040);
    EXPECT_EQ(reply["missed"], 40);
    EXPECT_EQ(bytes_of(reply["data"]), pattern(983'040, 60));
    Json stream_info = client.result("stream_info", {{"stream", "stdout"}});
    EXPECT_EQ(stream_info, info);
  }
  EXPECT_EQ(task.snapshot()["streams"]["stdout"], info);
}

TEST_F(StreamTest, OnlyUnconsumedBytesAreLost) {
  Task task = awkward({"puppet"}, {.buffer = 65'536});
  task.stream("stdin").write_all("pattern 0 1000\n");
  ASSERT_TRUE(wait_limit(task, "stdout", 1000));
  EXPECT_TRUE(task.stream("stdout").read().data == pattern(0, 1000));
  task.stream("stdin").write_all("pattern 1000 1048576\n");
  ASSERT_TRUE(wait_limit(task, "stdout", 1'049'576));
  const ReadResult rest = task.stream("stdout").read();
  EXPECT_EQ(rest.limit, 1'049'576u);
  EXPECT_EQ(rest.offset, 1'049'576u - 65'536);
  EXPECT_EQ(rest.lost, 1'049'576u - 65'536 - 1000);
  EXPECT_TRUE(rest.data == pattern(rest.offset, 65'536));
}

TEST_F(StreamTest, ACapacityThatIsNoMultipleOfThePageIsRoundedUp) {
  Task task = awkward({"sleep"}, {.buffer = 70'000});
  EXPECT_EQ(task.stream("stdout").info()["capacity"], 73'728);
}

TEST_F(StreamTest, ABlockingRingLosesNothingOfSixtyFourMebibytes) {
  constexpr uint64_t kSize = 64u << 20, kCapacity = 64u << 10;
  Task task =
      awkward({"pattern", std::to_string(kSize)}, {.buffer = kCapacity, .overflow = Overflow::kBlock});
  ASSERT_TRUE(wait_limit(task, "stdout", kCapacity));
  EXPECT_EQ(task.stream("stdout").limit(), kCapacity) << "the child has to wait";
  uint64_t taken = 0, cursor = 0;
  for (;;) {
    const ReadResult piece = task.stream("stdout").read();
    ASSERT_EQ(piece.offset, taken);
    ASSERT_EQ(piece.lost, 0u);
    ASSERT_EQ(piece.missed, 0u);
    ASSERT_LE(piece.limit - taken, kCapacity);
    ASSERT_TRUE(piece.data == pattern(taken, piece.data.size())) << taken;
    taken += piece.data.size();
    if (piece.eof && taken == piece.limit) break;
    const WaitResult more =
        task.wait({.for_events = {"output", "eof"}, .cursor = cursor, .timeout = Seconds(60)});
    ASSERT_NE(more.fired, "timeout");
    cursor = more.next;
  }
  EXPECT_EQ(taken, kSize);
  EXPECT_EQ(wait_exit(task)["exit_code"], 0);
}

TEST_F(StreamTest, ABlockedTaskCanBeDeleted) {
  Task task = awkward({"pattern", "1000000"}, {.buffer = 65'536, .overflow = Overflow::kBlock});
  ASSERT_TRUE(wait_limit(task, "stdout", 65'536));
  EXPECT_EQ(task.info(true)["status"]["state"], "running");
  EXPECT_TRUE(task.remove().survivors.empty());
}

TEST_F(StreamTest, DiscardFreesABlockedTask) {
  Task task = awkward({"pattern", "200000"}, {.buffer = 65'536, .overflow = Overflow::kBlock});
  ASSERT_TRUE(eventually([&] {
    task.stream("stdout").discard();
    return task.stream("stdout").limit() == 200'000;
  }));
  EXPECT_EQ(wait_exit(task)["exit_code"], 0);
  EXPECT_EQ(task.stream("stdout").info()["lost"], 0);
}

TEST_F(StreamTest, ConsumedPagesGoBackToTheSystem) {
  Task task = awkward({"pattern", "8388608"}, {.buffer = 8u << 20});
  wait_exit(task);
  const auto held = [&] {
    struct stat status {};
    stat((directory_of(task) / "stdout").c_str(), &status);
    return static_cast<uint64_t>(status.st_blocks) * 512;
  };
  EXPECT_GE(held(), 8u << 20);
  EXPECT_EQ(task.stream("stdout").discard().consumed, 8u << 20);
  EXPECT_TRUE(eventually([&] { return held() < 512 * 1024; })) << held();
}

TEST_F(StreamTest, AnUnusedRingTakesNoSpace) {
  Task task = awkward({"sleep"}, {.buffer = 64u << 20});
  struct stat status {};
  ASSERT_EQ(stat((directory_of(task) / "stdout").c_str(), &status), 0);
  EXPECT_LT(static_cast<uint64_t>(status.st_blocks) * 512, 256u * 1024);
}

TEST_F(StreamTest, TwoConsumersShareTheBytes) {
  Task first = awkward({"pattern", "4000000"}, {.buffer = 4u << 20});
  wait_exit(first);
  Task second(first.pid(), pool().path());
  std::string taken;
  for (uint64_t end = 100'000; taken.size() < 4'000'000; end += 100'000) {
    Task& reader = (end / 100'000) % 2 == 0 ? first : second;
    const ReadResult piece = reader.stream("stdout").read(taken.size(), end);
    ASSERT_EQ(piece.offset, taken.size());
    taken += piece.data;
  }
  EXPECT_TRUE(taken == pattern(0, 4'000'000));
  EXPECT_EQ(first.stream("stdout").read().data, "");
  EXPECT_EQ(second.stream("stdout").read().data, "");
}

TEST_F(StreamTest, WhatAStreamDoesNotHaveIsRefused) {
  Task task = awkward({"sleep"});
  EXPECT_EQ(error_of([&] { task.stream("nonsense"); }).code(), "bad_argument");
  EXPECT_EQ(error_of([&] { task.stream(7); }).code(), "bad_argument");
  EXPECT_EQ(error_of([&] { task.stream("stdin").read(); }).code(), "bad_argument");
  EXPECT_EQ(error_of([&] { task.stream("stdout").write("x"); }).code(), "bad_argument");
  EXPECT_EQ(error_of([&] { task.stream("stdout").close(); }).code(), "bad_argument");
  EXPECT_EQ(error_of([&] {
              task.call("read", {{"stream", "stdout"}, {"offset", -1}});
            }).code(),
            "bad_argument");
}

}  // namespace
}  // namespace bgtask::e2e
