#include "supervisor/streams/stdin_queue.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>

#include "protocol/wire/limits.h"

namespace bgtask::supervisor {
namespace {

class StdinQueueTest : public testing::Test {
 protected:
  void SetUp() override {
    ::signal(SIGPIPE, SIG_IGN);
    ASSERT_TRUE(loop_.init());
    int fds[2];
    ASSERT_EQ(::pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
    reader_.reset(fds[0]);
    queue_.open(io::UniqueFd(fds[1]));
  }

  // What the task reads until it would have to wait; "<eof>" at the end.
  std::string read_available() {
    std::string text;
    char buffer[65536];
    ssize_t n;
    while ((n = ::read(reader_.get(), buffer, sizeof buffer)) > 0)
      text.append(buffer, static_cast<size_t>(n));
    return n == 0 ? text + "<eof>" : text;
  }
  void turn() { uv_run(loop_.get(), UV_RUN_NOWAIT); }

  io::Loop loop_;
  StdinQueue queue_{loop_};
  io::UniqueFd reader_;
};

TEST_F(StdinQueueTest, SmallWritesGoStraightThrough) {
  auto written = queue_.write("hello");
  ASSERT_TRUE(written);
  EXPECT_EQ(written->accepted, 5u);
  EXPECT_EQ(written->pending, 0u);
  EXPECT_EQ(read_available(), "hello");
}

TEST_F(StdinQueueTest, TakesPartThenNothingThenGoesOn) {
  std::string large(wire::kMaxStdinQueue + 100'000, 'x');
  auto written = queue_.write(large);
  ASSERT_TRUE(written);
  EXPECT_EQ(written->accepted, wire::kMaxStdinQueue);
  EXPECT_GT(queue_.pending(), 0u);
  uint64_t accepted = written->accepted;
  while (auto more = queue_.write(large))
    accepted += more->accepted;
  EXPECT_EQ(queue_.write("x").error().code, ErrorCode::kWouldBlock);
  std::string got;
  while (got.size() < accepted) {
    got += read_available();
    turn();
  }
  EXPECT_EQ(got.size(), accepted);
  EXPECT_EQ(queue_.pending(), 0u);
  EXPECT_EQ(queue_.written(), accepted);
  EXPECT_TRUE(queue_.write("x"));
}

TEST_F(StdinQueueTest, CloseWaitsForTheQueue) {
  std::string large(300'000, 'x');
  ASSERT_TRUE(queue_.write(large));
  ASSERT_GT(queue_.pending(), 0u);
  EXPECT_TRUE(queue_.close(false));
  EXPECT_TRUE(queue_.eof());
  EXPECT_EQ(queue_.write("more").error().code, ErrorCode::kStdinClosed);
  std::string got;
  while (!got.ends_with("<eof>")) {
    got += read_available();
    turn();
  }
  EXPECT_EQ(got.size(), large.size() + 5);
}

TEST_F(StdinQueueTest, ImmediateCloseDropsTheQueue) {
  ASSERT_TRUE(queue_.write(std::string(300'000, 'x')));
  EXPECT_TRUE(queue_.close(true));
  std::string got = read_available();
  EXPECT_TRUE(got.ends_with("<eof>"));
  EXPECT_LT(got.size(), 300'000u);
}

TEST_F(StdinQueueTest, AReaderThatWentAwayIsStdinClosed) {
  reader_.reset();
  static_cast<void>(queue_.write("x"));
  EXPECT_EQ(queue_.write("y").error().code, ErrorCode::kStdinClosed);
  EXPECT_TRUE(queue_.eof());
}

TEST_F(StdinQueueTest, WithoutPipeEverythingIsStdinClosed) {
  StdinQueue none(loop_);
  EXPECT_TRUE(none.eof());
  EXPECT_EQ(none.write("x").error().code, ErrorCode::kStdinClosed);
  EXPECT_EQ(none.close(false).error().code, ErrorCode::kStdinClosed);
}

}  // namespace
}  // namespace bgtask::supervisor
