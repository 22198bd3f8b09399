// A follower that stops while gigabytes pass: the child keeps its speed, the supervisor its memory, and the
// follower learns what it missed.
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <regex>

#include "tests/faults/fault_test.h"

namespace bgtask::faults {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20, kSmall = 64 * 1024;
constexpr Milliseconds kPatienceForEach{20};  // mebibyte, on a machine that has much else to do
constexpr int64_t kSlackKib = 4096;           // of the peak: a page as chunks, document and frame at once

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

class StoppedFollower : public FaultTest {
 protected:
  /// A child that writes the requested number of MiB as fast as it can and prints the time it took.
  Task writer(uint64_t buffer = kMiB) const {
    return shell("while read n; do dd if=/dev/zero bs=65536 count=$((n * 16)); done",
                 {.env = {{"LC_ALL", "C"}}, .buffer = buffer});
  }
  /// Seconds that the child took to write this much.
  double write(Task& task, uint64_t mebibytes) {
    static const std::regex kCopied("copied, ([0-9.e-]+) s");
    written_ += mebibytes * kMiB;
    task.stream("stdin").write_all(std::to_string(mebibytes) + "\n");
    std::string report;
    std::smatch match;
    const auto copied = [&] {
      report += task.stream("stderr").read().data;
      return std::regex_search(report, match, kCopied);
    };
    EXPECT_TRUE(eventually(copied, e2e::kPatience + mebibytes * kPatienceForEach)) << report;
    EXPECT_TRUE(eventually([&] { return task.stream("stdout").limit() == written_; }));
    return match.empty() ? 0 : std::stod(match[1]);
  }
  uint64_t written() const { return written_; }
  int64_t peak(const Task& task) const { return e2e::process_number(task.pid(), "VmHWM"); }

  std::unique_ptr<e2e::RawClient> follower_of(Task& task) const {
    auto client = std::make_unique<e2e::RawClient>(socket_of(task), e2e::Encoding::kMsgpack);
    client->result("subscribe", {{"events", {"output"}}, {"streams", {"stdout"}}});
    return client;
  }
  /// Until the supervisor has noticed.
  static void leave(Task& task, std::unique_ptr<e2e::RawClient>& follower) {
    follower.reset();
    EXPECT_TRUE(eventually([&] { return task.info(true)["clients"] == 1; }));
  }

 private:
  uint64_t written_ = 0;
};

TEST_F(StoppedFollower, G3_ThatReadsNothingCostsTheChildNoSpeedAndTheSupervisorNoMemory) {
  constexpr uint64_t kPiece = 32, kUntilStuck = 8;
  const int rounds = scaled(15, 160);  // 72 MiB each: 1 GiB, by night 11
  constexpr int kTries = 5;            // other load may spoil a measurement, not five of them
  Task task = writer();
  {  // What the first follower takes is what each of them may take.
    auto first = follower_of(task);
    write(task, kPiece);
    leave(task, first);
  }
  write(task, kPiece);
  const int64_t before = peak(task);
  double ratio = 0;
  for (int attempt = 0; attempt < kTries && ratio < 0.9; ++attempt) {
    std::vector<double> alone, followed;
    for (int round = 0; round < rounds; ++round) {
      alone.push_back(write(task, kPiece));
      auto follower = follower_of(task);
      write(task, kUntilStuck);
      followed.push_back(write(task, kPiece));
      leave(task, follower);
    }
    ratio = median(alone) / median(followed);
  }
  EXPECT_GE(ratio, 0.9) << "of the speed without a follower";
  EXPECT_LE(peak(task), before + kSlackKib);
}

TEST_F(StoppedFollower, G2_G3_LearnsWhatItMissedWhenItGoesOn) {
  // A small ring has a small index, which wraps too; the loss stays exact.
  Task task = writer(kSmall);
  const auto follower = follower_of(task);
  write(task, 8);
  const int64_t before = peak(task);
  write(task, scaled<uint64_t>(256, 4096));
  EXPECT_LE(peak(task), before + kSlackKib);
  task.stream("stdin").close();
  EXPECT_EQ(wait_exit(task)["exit_code"], 0);
  uint64_t at = 0, lost = 0;
  while (at < written()) {
    const auto event = follower->receive();
    ASSERT_TRUE(event.has_value()) << "after " << at << " bytes";
    const Json& params = (*event)["params"];
    ASSERT_EQ(params["event"], "output");
    lost += params["lost"]["stdout"].get<uint64_t>();
    at += params["lost"]["stdout"].get<uint64_t>();
    for (const Json& chunk : params["chunks"]) {
      ASSERT_EQ(chunk["offset"], at) << "what is given begins where what is lost ends";
      at += e2e::bytes_of(chunk["data"]).size();
    }
  }
  EXPECT_EQ(at, written());
  EXPECT_GT(lost, written() / 2);
}

TEST_F(StoppedFollower, G2_G3_OfTheCommandLineGoesOnWithTheTail) {
  Task task = writer(kSmall);
  const std::filesystem::path out = base() / "printed", err = base() / "said";
  write(task, 1);
  const pid_t follower = ::fork();
  if (follower == 0) {
    ::dup2(::open(out.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600), 1);
    ::dup2(::open(err.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600), 2);
    const std::string pid = std::to_string(task.pid());
    ::execl(BGTASK_PROGRAM, BGTASK_PROGRAM, "logs", "-f", "--stream", "out", pid.c_str(), nullptr);
    ::_exit(127);
  }
  ASSERT_TRUE(
      eventually([&] { return std::filesystem::exists(out) && std::filesystem::file_size(out) == kSmall; }));
  // Its subscription is in place: connected beside this test, and waiting.
  ASSERT_TRUE(eventually(
      [&] { return task.info(true)["clients"].get<int>() >= 2 && e2e::process_state(follower) == 'S'; }));
  ASSERT_TRUE(e2e::send_signal(follower, SIGSTOP));
  ASSERT_TRUE(eventually([&] { return e2e::process_state(follower) == 'T'; }));
  write(task, 8);
  const int64_t before = peak(task);
  write(task, scaled<uint64_t>(256, 4096));
  EXPECT_LE(peak(task), before + kSlackKib);
  ASSERT_TRUE(e2e::send_signal(follower, SIGCONT));
  task.stream("stdin").close();
  int status = -1;
  ASSERT_TRUE(eventually([&] { return ::waitpid(follower, &status, WNOHANG) == follower; }));
  EXPECT_EQ(status, 0);
  static const std::regex kGone("([0-9]+) bytes of stdout are gone");
  const std::string said = e2e::read_whole(err);
  uint64_t gone = 0;
  for (std::sregex_iterator loss(said.begin(), said.end(), kGone), end; loss != end; ++loss)
    gone += std::stoull((*loss)[1]);
  EXPECT_EQ(std::filesystem::file_size(out) + gone, written()) << said;
  EXPECT_GT(gone, written() / 2);
}

}  // namespace
}  // namespace bgtask::faults
