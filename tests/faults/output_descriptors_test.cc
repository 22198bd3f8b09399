// Descriptors passed to a supervisor over any of its sockets are closed at once.
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>

#include "tests/e2e/pattern.h"
#include "tests/faults/channel.h"
#include "tests/faults/fault_test.h"

namespace bgtask::faults {
namespace {

constexpr size_t kMostInAMessage = 253;  // the kernel's SCM_MAX_FD

/// Write ends of a pipe that are given away; the read end reports when all of them are closed.
class Tokens {
 public:
  explicit Tokens(size_t count) {
    int ends[2] = {-1, -1};
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    read_end_ = ends[0];
    given_.push_back(ends[1]);
    while (given_.size() < count)
      given_.push_back(::fcntl(ends[1], F_DUPFD_CLOEXEC, 0));
  }
  ~Tokens() {
    forget();
    ::close(read_end_);
  }
  Tokens(const Tokens&) = delete;
  Tokens& operator=(const Tokens&) = delete;
  const std::vector<int>& given() const { return given_; }
  void forget() {
    for (int fd : given_)
      ::close(fd);
    given_.clear();
  }
  /// Closes our own and checks that no other is left.
  void expect_dropped() {
    forget();
    pollfd end{read_end_, POLLIN, 0};
    ASSERT_EQ(::poll(&end, 1, static_cast<int>(e2e::kPatience.count())), 1) << "somebody holds a descriptor";
    EXPECT_NE(end.revents & POLLHUP, 0);
  }

 private:
  int read_end_ = -1;
  std::vector<int> given_;
};

class PassedDescriptors : public FaultTest, public testing::WithParamInterface<size_t> {
 protected:
  void SetUp() override {
    FaultTest::SetUp();
    task_.emplace(awkward({"puppet"}));
    EXPECT_EQ(task_->call("ping"), "pong");
    child_ = child_of(*task_);
    task_->disconnect();
    before_ = settled_footprint_of(task_->pid());
  }
  void TearDown() override {
    task_.reset();
    FaultTest::TearDown();
  }
  void expect_as_before() {
    task_->disconnect();
    std::string differs;
    EXPECT_TRUE(eventually([&] {
      differs = difference(before_, footprint_of(task_->pid()));
      return differs.empty();
    })) << differs;
  }
  Task& task() { return *task_; }
  pid_t child() const { return child_; }
  size_t count() const { return GetParam(); }

 private:
  std::optional<Task> task_;
  pid_t child_ = 0;
  Footprint before_;
};

TEST_P(PassedDescriptors, G8_G9_WithRequestsAreDropped) {
  for (e2e::Encoding encoding : {e2e::Encoding::kJson, e2e::Encoding::kMsgpack}) {
    e2e::RawClient client(socket_of(task()), encoding);
    const std::string ping = client.encode({{"jsonrpc", "2.0"}, {"id", 1}, {"method", "ping"}});
    for (int i = 0; i < scaled(40, 2'000); ++i) {
      Tokens tokens(count());
      // With the whole request, or with its first byte, or with its last.
      const size_t split = i % 3 == 0 ? ping.size() : i % 3 == 1 ? 1 : ping.size() - 1;
      const bool first = i % 3 != 2;
      ASSERT_EQ(send_with(client.fd(), ping.substr(0, split), first ? tokens.given() : std::vector<int>()),
                0);
      if (split < ping.size()) {
        ASSERT_EQ(send_with(client.fd(), ping.substr(split), first ? std::vector<int>() : tokens.given()), 0);
      }
      const auto reply = client.receive();
      ASSERT_TRUE(reply.has_value());
      ASSERT_EQ((*reply)["result"], "pong");
      ASSERT_NO_FATAL_FAILURE(tokens.expect_dropped());
    }
  }
  expect_as_before();
}

TEST_P(PassedDescriptors, G8_G9_ByClientsThatLeaveOrAreNotReadAreDroppedToo) {
  Tokens refused(count()), abandoned(count()), unread(count());
  {
    e2e::RawClient rude(socket_of(task()));
    ASSERT_EQ(send_with(rude.fd(), "GET / HTTP/1.0\r\n\r\n", refused.given()), 0);
    ASSERT_NO_FATAL_FAILURE(refused.expect_dropped());
  }
  {
    e2e::RawClient brief(socket_of(task()));
    ASSERT_EQ(send_with(brief.fd(), "{\"half a request", abandoned.given()), 0);
  }
  ASSERT_NO_FATAL_FAILURE(abandoned.expect_dropped());
  ASSERT_TRUE(e2e::send_signal(task().pid(), SIGSTOP));
  {
    e2e::RawClient early(socket_of(task()));
    ASSERT_EQ(send_with(early.fd(), "{\"half a request", unread.given()), 0);
    // Its own end too, which keeps the connection open until it is received.
    ASSERT_EQ(send_with(early.fd(), " more of it", {early.fd()}), 0);
  }
  ASSERT_TRUE(e2e::send_signal(task().pid(), SIGCONT));
  ASSERT_NO_FATAL_FAILURE(unread.expect_dropped());
  EXPECT_TRUE(eventually([&] { return task().info(true)["clients"] == 1; }));
  expect_as_before();
}

TEST_P(PassedDescriptors, G2_G8_WithDataMessagesAreDroppedAndTheMessagesKept) {
  const std::vector<std::string> messages = {"", "x", e2e::pattern(0, 4'096), e2e::pattern(0, 65'536)};
  uint64_t sent = 0;
  {
    const Channel channel(child());
    for (int i = 0; i < scaled(40, 2'000); ++i) {
      const std::string& message = messages[static_cast<size_t>(i) % messages.size()];
      Tokens tokens(count());
      ASSERT_EQ(send_with(channel.fd(), message, tokens.given()), 0);
      ASSERT_TRUE(wait_limit(task(), "data", ++sent));
      ASSERT_NO_FATAL_FAILURE(tokens.expect_dropped());
      const MessagesResult taken = task().stream("data").messages();
      ASSERT_EQ(taken.size(), 1u);
      ASSERT_TRUE(taken.messages[0].data == message);
    }
    ASSERT_EQ(send_with(channel.fd(), "its own end", std::vector<int>(count(), channel.fd())), 0);
    ASSERT_TRUE(wait_limit(task(), "data", ++sent));
  }
  EXPECT_EQ(task().stream("data").info()["error"], nullptr);
  expect_as_before();
  task().stream("stdin").write_all("exit 0\n");
  wait_eof(task());
  EXPECT_EQ(task().stream("data").limit(), sent);
}

INSTANTIATE_TEST_SUITE_P(Counts, PassedDescriptors, testing::Values(size_t{1}, size_t{10}, kMostInAMessage),
                         [](const auto& test) { return std::to_string(test.param); });

}  // namespace
}  // namespace bgtask::faults
