// The data channel: each write is one message.
#include "tests/e2e/fixture.h"
#include "tests/e2e/pattern.h"

namespace bgtask::e2e {
namespace {

using DataTest = E2eTest;

TEST_F(DataTest, MessagesKeepTheirBoundariesAlsoEmptyOnes) {
  Task task = awkward({"messages", "0", "1", "5", "0", "65536", "65537", "0", "300000", "2"});
  ASSERT_EQ(wait_exit(task)["exit_code"], 0);
  // What did the sender learn?
  std::istringstream report(task.stream("stdout").read().data);
  std::map<size_t, int> errors;
  size_t size = 0;
  for (int error = 0; report >> size >> error;)
    errors[size] = error;
  EXPECT_EQ(errors[65'536], 0);
  EXPECT_NE(errors[65'537], 0) << "64 KiB + 1 fails in the sender";
  EXPECT_NE(errors[300'000], 0);

  const std::vector<size_t> expected = {0, 1, 5, 0, 65'536, 0, 2};
  ASSERT_TRUE(wait_limit(task, "data", expected.size()));
  const MessagesResult peeked = task.stream("data").peek_messages();
  const MessagesResult taken = task.stream("data").messages();
  for (const MessagesResult* result : {&peeked, &taken}) {
    ASSERT_EQ(result->size(), expected.size());
    EXPECT_EQ(result->limit, expected.size());
    EXPECT_EQ(result->lost, 0u);
    EXPECT_EQ(result->missed, 0u);
    double last = 0;
    for (size_t i = 0; i < expected.size(); ++i) {
      EXPECT_EQ(result->messages[i].offset, i);
      EXPECT_TRUE(result->messages[i].data == pattern(0, expected[i])) << i;
      EXPECT_GE(result->messages[i].time, last);
      last = result->messages[i].time;
    }
  }
  EXPECT_EQ(taken.consumed, expected.size());
  EXPECT_TRUE(task.stream("data").messages().empty()) << "messages() takes them";
}

TEST_F(DataTest, RangesAreOfMessages) {
  Task task = awkward({"messages", "1", "2", "3", "4", "5"}, {.retain_output = 0});
  wait_exit(task);
  const MessagesResult middle = task.stream("data").messages(1, 3);
  ASSERT_EQ(middle.size(), 2u);
  EXPECT_EQ(middle.offset, 1u);
  EXPECT_EQ(middle.messages[0].data.size(), 2u);
  EXPECT_EQ(middle.consumed, 3u);
  const MessagesResult gone_ones = task.stream("data").peek_messages(0, 4);
  EXPECT_EQ(gone_ones.missed, 3u);
  ASSERT_EQ(gone_ones.size(), 1u);
  EXPECT_EQ(gone_ones.offset, 3u);
  EXPECT_EQ(task.stream("data").info()["limit"], 5);
}

TEST_F(DataTest, AFullRingDropsWholeMessagesAndCountsThem) {
  const std::vector<std::string> sizes(40, "65536");
  std::vector<std::string> command = sizes;
  command.insert(command.begin(), "messages");
  Task task = awkward(command, {.buffer = 512 * 1024});
  wait_exit(task);
  ASSERT_TRUE(wait_limit(task, "data", 40));
  const MessagesResult kept = task.stream("data").peek_messages(0);
  ASSERT_GE(kept.size(), 6u);
  EXPECT_EQ(kept.size() + kept.missed, 40u);
  EXPECT_EQ(kept.lost, kept.missed);
  EXPECT_EQ(kept.offset, kept.lost);
  EXPECT_EQ(kept.start, kept.lost);
  for (const DataMessage& message : kept)
    EXPECT_TRUE(message.data == pattern(0, 65'536));
}

TEST_F(DataTest, BothEncodingsCarryThem) {
  Task task = awkward({"messages", "300", "0", "3"});
  wait_exit(task);
  for (Encoding encoding : {Encoding::kJson, Encoding::kMsgpack}) {
    const Json reply =
        RawClient(socket_of(task), encoding).result("read", {{"stream", "data"}, {"peek", true}});
    ASSERT_EQ(reply["messages"].size(), 3u);
    EXPECT_EQ(bytes_of(reply["messages"][0]["data"]), pattern(0, 300));
    EXPECT_EQ(bytes_of(reply["messages"][1]["data"]), "");
    EXPECT_EQ(reply["messages"][2]["offset"], 2);
  }
}

TEST_F(DataTest, ManyMessagesArePagedWithoutLoss) {
  Task task = shell("i=0; while [ $i -lt 5000 ]; do echo message $i >&$BGTASK_DATA_FD; i=$((i+1)); done");
  ASSERT_EQ(wait_exit(task)["exit_code"], 0);
  ASSERT_TRUE(wait_limit(task, "data", 5000));
  const MessagesResult all = task.stream("data").messages();
  ASSERT_EQ(all.size(), 5000u);
  for (size_t i = 0; i < all.size(); ++i) {
    ASSERT_EQ(all.messages[i].data, "message " + std::to_string(i) + "\n");
  }
}

}  // namespace
}  // namespace bgtask::e2e
