// Empty and maximal messages of the data channel.
#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>
#include <random>

#include "tests/e2e/pattern.h"
#include "tests/faults/channel.h"
#include "tests/faults/fault_test.h"

namespace bgtask::faults {
namespace {

constexpr size_t kLongest = 65'536;

class OutputMessages : public FaultTest {};

TEST_F(OutputMessages, G2_EmptyAndMaximalOnesArriveEachAsOneInOrder) {
  Task task = awkward({"puppet"}, {.buffer = 8u << 20});
  const Channel channel(child_of(task));
  e2e::RawClient follower(socket_of(task), e2e::Encoding::kMsgpack);
  follower.result("subscribe", {{"events", {"output"}}, {"streams", {"data"}}});
  std::mt19937 random(seed());
  const size_t sizes[] = {0, 0, 1, 7, 8, 9, 4'095, 4'096, 4'097, kLongest - 1, kLongest};
  uint64_t number = 0;
  std::vector<std::pair<uint64_t, size_t>> followed;
  for (int round = 0; round < scaled(60, 2'000); ++round) {
    SCOPED_TRACE("seed " + std::to_string(seed()) + " round " + std::to_string(round));
    std::vector<std::string> sent;
    for (size_t i = 0; i < 50; ++i) {
      sent.push_back(e2e::pattern(number + i, sizes[random() % std::size(sizes)]));
      ASSERT_EQ(channel.send(sent.back()), 0);
    }
    ASSERT_TRUE(wait_limit(task, "data", number + sent.size()));
    for (size_t i = 0; i < sent.size();) {
      const auto event = follower.receive();
      ASSERT_TRUE(event.has_value());
      for (const Json& chunk : (*event)["params"]["chunks"]) {
        ASSERT_EQ(chunk["offset"], number + i);
        ASSERT_TRUE(e2e::bytes_of(chunk["data"]) == sent[i++]);
      }
    }
    const MessagesResult taken = task.stream("data").messages();
    ASSERT_EQ(taken.size(), sent.size());
    EXPECT_EQ(taken.lost, 0u);
    for (size_t i = 0; i < sent.size(); ++i) {
      ASSERT_EQ(taken.messages[i].offset, number + i);
      ASSERT_TRUE(taken.messages[i].data == sent[i]) << sent[i].size();
    }
    number += sent.size();
  }
  EXPECT_EQ(task.stream("data").info()["eof"], false) << "an empty message is no end";
}

TEST_F(OutputMessages, G2_LongerOnesAreRefusedInTheSenderAndLeaveNoTrace) {
  Task task = awkward({"puppet"});
  const Channel channel(child_of(task));
  for (size_t size : {kLongest + 1, kLongest + 2, size_t{100'000}, size_t{212'992}, size_t{1} << 20}) {
    const std::string message(size, 'm');
    EXPECT_EQ(channel.send(message), EMSGSIZE) << size;
    iovec halves[] = {{const_cast<char*>(message.data()), size / 2},
                      {const_cast<char*>(message.data()) + size / 2, size - size / 2}};
    EXPECT_EQ(::writev(channel.fd(), halves, 2), -1) << size;
    EXPECT_EQ(errno, EMSGSIZE);
  }
  ASSERT_EQ(channel.send(std::string(kLongest, 'x')), 0);
  ASSERT_TRUE(wait_limit(task, "data", 1));
  const MessagesResult all = task.stream("data").messages();
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all.messages[0].offset, 0u);
  EXPECT_TRUE(all.messages[0].data == std::string(kLongest, 'x'));
  EXPECT_EQ(task.stream("data").info()["error"], nullptr);
}

TEST_F(OutputMessages, G2_ASenderThatMadeItsBufferLargerIsToldOnAndNotHidden) {
  Task task = awkward({"puppet"});
  const Channel channel(child_of(task));
  const int size = 1 << 20;
  ASSERT_EQ(::setsockopt(channel.fd(), SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size), 0);
  ASSERT_EQ(channel.send(e2e::pattern(0, 200'000)), 0);
  ASSERT_EQ(channel.send("after"), 0);
  ASSERT_TRUE(wait_limit(task, "data", 2));
  const MessagesResult all = task.stream("data").messages();
  ASSERT_EQ(all.size(), 2u);
  EXPECT_TRUE(all.messages[0].data == e2e::pattern(0, kLongest));
  EXPECT_EQ(all.messages[1].data, "after");
  EXPECT_EQ(task.stream("data").info()["error"], "EMSGSIZE");
}

TEST_F(OutputMessages, G2_G4_AThousandEmptyOnesJustBeforeTheEndAllCount) {
  std::vector<std::string> command = {"messages"};
  command.insert(command.end(), 1'000, "0");
  command.insert(command.end(), {"65537", "65536", "0"});
  Task task = awkward(command);
  for (int round = 1; round <= scaled(10, 200); ++round) {
    EXPECT_EQ(wait_exit(task)["exit_code"], 0);
    wait_eof(task);
    ASSERT_EQ(task.stream("data").limit(), 1'002u * static_cast<uint64_t>(round));
    const MessagesResult all = task.stream("data").messages();
    ASSERT_EQ(all.size(), 1'002u);
    EXPECT_EQ(all.messages[1'000].data.size(), kLongest);
    EXPECT_EQ(all.messages[1'001].data, "");
    EXPECT_TRUE(all.eof);
    ASSERT_TRUE(task.restart());
  }
}

}  // namespace
}  // namespace bgtask::faults
