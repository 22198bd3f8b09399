#include "protocol/io/uv_handles.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <memory>

#include "protocol/io/unique_fd.h"

namespace bgtask::io {
namespace {

struct Pipe {
  Pipe() {
    int fds[2];
    EXPECT_EQ(::pipe2(fds, O_CLOEXEC), 0);
    read.reset(fds[0]);
    write.reset(fds[1]);
  }
  UniqueFd read, write;
};

TEST(UvHandles, PollTellsAndCanBeDestroyedInItsCallback) {
  Loop loop;
  ASSERT_TRUE(loop.init());
  Pipe pipe;
  auto poll = std::make_unique<Poll>();
  int calls = 0;
  ASSERT_TRUE(poll->start(loop, pipe.read.get(), UV_READABLE, [&](int) {
    ++calls;
    poll.reset();
  }));
  ASSERT_EQ(::write(pipe.write.get(), "x", 1), 1);
  loop.run();  // ends, for nothing is watched any more
  EXPECT_EQ(calls, 1);
}

TEST(UvHandles, AFailedPollLeavesNothingBehind) {
  Loop loop;
  ASSERT_TRUE(loop.init());
  Poll poll;
  EXPECT_FALSE(poll.start(loop, 9999, UV_READABLE, [](int) {}));
  EXPECT_FALSE(poll);
}

TEST(UvHandles, TimersRestartThemselvesAndStop) {
  Loop loop;
  ASSERT_TRUE(loop.init());
  Timer timer, never;
  int calls = 0;
  never.start(loop, 1'000'000, [] { ADD_FAILURE(); });
  std::function<void()> again = [&] {
    if (++calls < 3)
      timer.start(loop, 1, again);
    else
      never.stop();
  };
  timer.start(loop, 1, again);
  loop.run();
  EXPECT_EQ(calls, 3);
  EXPECT_FALSE(timer.running());
}

TEST(UvHandles, NextTurnLetsOthersHaveTheirTurn) {
  Loop loop;
  ASSERT_TRUE(loop.init());
  Pipe pipe;
  ASSERT_EQ(::write(pipe.write.get(), "x", 1), 1);
  Poll poll;
  NextTurn turn;
  int turns = 0, turns_before_poll = -1;
  std::function<void()> again = [&] {
    if (++turns < 5) turn.start(loop, again);
  };
  turn.start(loop, again);
  turn.start(loop, [] { ADD_FAILURE() << "one is due already"; });
  ASSERT_TRUE(poll.start(loop, pipe.read.get(), UV_READABLE, [&](int) {
    turns_before_poll = turns;
    poll.stop();
  }));
  loop.run();
  EXPECT_EQ(turns, 5);
  EXPECT_GE(turns_before_poll, 0);
  EXPECT_LT(turns_before_poll, 5);
  EXPECT_FALSE(turn.running());
}

TEST(UvHandles, MovedHandlesKeepWorking) {
  Loop loop;
  ASSERT_TRUE(loop.init());
  int calls = 0;
  Timer first;
  first.start(loop, 1, [&] { ++calls; });
  Timer second = std::move(first);
  loop.run();
  EXPECT_EQ(calls, 1);
  EXPECT_FALSE(second.running());
}

}  // namespace
}  // namespace bgtask::io
