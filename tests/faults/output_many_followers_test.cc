// A hundred followers of two users, half of whom read nothing: the others get everything in order.
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <random>

#include "tests/e2e/pattern.h"
#include "tests/faults/fault_test.h"

namespace bgtask::faults {
namespace {

constexpr uid_t kOwner = 54'322;
constexpr uint64_t kMiB = uint64_t{1} << 20;
constexpr size_t kFollowersOfAUser = 50;

/// Checks that the received bytes are the pattern from 0 on, with every gap reported.
class Follower {
 public:
  Follower(const std::filesystem::path& socket, uid_t uid, e2e::Encoding encoding) {
    // The kernel records the peer's credentials at connect(2).
    EXPECT_EQ(::seteuid(uid), 0);
    client_ = std::make_unique<e2e::RawClient>(socket, encoding);
    EXPECT_EQ(::seteuid(0), 0);
    EXPECT_TRUE(client_->connected());
    client_->result("subscribe", {{"events", {"output", "exit"}}, {"cursor", 0}, {"streams", {"stdout"}}});
  }
  /// Takes one event; false if there is none yet.
  bool take(const std::string& all, Milliseconds patience = Milliseconds(0)) {
    const auto message = client_->receive(patience);
    if (!message) return false;
    const Json& params = (*message)["params"];
    if (params["event"] == "exit") {
      ended_ = true;
      return true;
    }
    EXPECT_FALSE(ended_) << "output after the end";
    lost_ += params["lost"]["stdout"].get<uint64_t>();
    at_ += params["lost"]["stdout"].get<uint64_t>();
    for (const Json& chunk : params["chunks"]) {
      const std::string data = e2e::bytes_of(chunk["data"]);
      EXPECT_EQ(chunk["offset"], at_);
      EXPECT_TRUE(all.compare(at_, data.size(), data) == 0) << "at " << at_;
      at_ += data.size();
    }
    return true;
  }
  int fd() const { return client_->fd(); }
  bool ended() const { return ended_; }
  uint64_t at() const { return at_; }
  uint64_t lost() const { return lost_; }

 private:
  std::unique_ptr<e2e::RawClient> client_;
  uint64_t at_ = 0, lost_ = 0;
  bool ended_ = false;
};

using Followers = std::vector<std::unique_ptr<Follower>>;

class ManyFollowers : public FaultTest {
 protected:
  /// A task of an ordinary user; root may follow it as well, so that there can be more than 64.
  void start(uint64_t buffer) {
    pool_ = base() / "pool-of-owner";
    ASSERT_EQ(::mkdir(pool_.c_str(), 0700), 0);
    ASSERT_EQ(::chown(pool_.c_str(), kOwner, kOwner), 0);
    const std::string supervisor = public_copy(BGTASK_SUPERVISOR_PROGRAM).string();
    const std::string child = public_copy(AWKWARD_PROGRAM).string();
    const e2e::ProgramResult spawned = e2e::as_user(kOwner, [&] {
      const TaskPool own(
          pool_, {.supervisor_command = {supervisor}, .supervisor_env = {{"BGTASK_E2E", base().string()}}});
      return std::to_string(own.spawn({.exec = {child, "puppet"}, .buffer = buffer}).pid());
    });
    ASSERT_EQ(spawned.status, 0) << spawned.err;
    task_.emplace(std::stoi(spawned.out), pool_);
    before_ = settled_footprint_of(task_->pid());
  }
  void TearDown() override {
    if (task_) task_->remove();
    task_.reset();
    FaultTest::TearDown();
  }
  Followers connect(size_t count, uid_t uid) const {
    Followers followers;
    for (size_t i = 0; i < count; ++i) {
      followers.push_back(
          std::make_unique<Follower>(pool_ / std::to_string(task_->pid()) / "socket", uid,
                                     i % 5 == 0 ? e2e::Encoding::kJson : e2e::Encoding::kMsgpack));
    }
    return followers;
  }
  void write(uint64_t total) {
    constexpr uint64_t kPiece = 256 * 1024;
    std::string commands;
    for (uint64_t at = 0; at < total; at += kPiece)
      commands += "pattern " + std::to_string(at) + " " + std::to_string(std::min(kPiece, total - at)) + "\n";
    task_->stream("stdin").write_all(commands + "exit 7\n");
  }
  /// Reads from every follower with pending data until each has seen the end.
  static void read_to_the_end(Followers& followers, const std::string& all) {
    const auto everyone = [&] {
      return std::all_of(followers.begin(), followers.end(), [](const auto& f) { return f->ended(); });
    };
    const auto deadline = std::chrono::steady_clock::now() + 2 * e2e::kPatience;
    constexpr int kLookAgainMs = 1'000;
    while (!everyone() && std::chrono::steady_clock::now() < deadline) {
      std::vector<pollfd> waiting;
      for (const auto& follower : followers) {
        while (!follower->ended() && follower->take(all)) {
        }
        if (!follower->ended()) waiting.push_back({follower->fd(), POLLIN, 0});
      }
      // Polling all of them would take processor time from the supervisor.
      if (!waiting.empty()) ::poll(waiting.data(), waiting.size(), kLookAgainMs);
    }
    EXPECT_TRUE(everyone());
  }
  Task& task() { return *task_; }
  const Footprint& before() const { return before_; }

 private:
  std::filesystem::path pool_;
  std::optional<Task> task_;
  Footprint before_;
};

TEST_F(ManyFollowers, G2_G3_HalfOfThemStuckAndTheOthersGetEverythingInOrder) {
  const uint64_t total = scaled<uint64_t>(3, 8) * kMiB + 777;
  const std::string all = e2e::pattern(0, total);
  ASSERT_NO_FATAL_FAILURE(start(16 * kMiB));
  Followers reading = connect(kFollowersOfAUser / 2, 0), stuck = connect(kFollowersOfAUser / 2, 0);
  for (auto& follower : connect(kFollowersOfAUser / 2, kOwner))
    reading.push_back(std::move(follower));
  for (auto& follower : connect(kFollowersOfAUser / 2, kOwner))
    stuck.push_back(std::move(follower));
  ASSERT_EQ(reading.size() + stuck.size(), 100u);
  write(total);
  read_to_the_end(reading, all);
  for (const auto& follower : reading) {
    EXPECT_EQ(follower->at(), total);
    EXPECT_EQ(follower->lost(), 0u);
  }
  // At most one reply is pending for each client; the ring itself counts once.
  const int64_t bound = static_cast<int64_t>((100 + 8) * kMiB + total) / 1024;
  EXPECT_LE(e2e::process_number(task().pid(), "VmHWM"), before().resident_kib + bound);
  Followers late;
  for (size_t i = 0; i < stuck.size(); i += 7)
    late.push_back(std::move(stuck[i]));
  read_to_the_end(late, all);
  for (const auto& follower : late) {
    EXPECT_EQ(follower->at(), total) << "whoever goes on gets the rest";
    EXPECT_EQ(follower->lost(), 0u);
  }
  for (Followers* gone : {&reading, &stuck, &late})
    gone->clear();
  task().disconnect();
  EXPECT_TRUE(eventually([&] {
    return footprint_of(task().pid()).resident_kib <=
           before().resident_kib + static_cast<int64_t>(total + 3 * kMiB) / 1024;
  })) << "KiB, "
      << before().resident_kib << " before, now " << footprint_of(task().pid()).resident_kib;
}

TEST_F(ManyFollowers, G2_ThoseWhoFallBehindAreToldExactlyWhatTheyMissed) {
  const uint64_t total = scaled<uint64_t>(16, 512) * kMiB + 777;
  const std::string all = e2e::pattern(0, total);
  ASSERT_NO_FATAL_FAILURE(start(64 * 1024));
  Followers followers = connect(20, 0);
  write(total);
  std::mt19937 random(seed());
  const auto deadline = std::chrono::steady_clock::now() + 2 * e2e::kPatience;
  while (task().stream("stdout").limit() < total && std::chrono::steady_clock::now() < deadline)
    followers[random() % followers.size() / 2]->take(all);  // and half of them do not read at all
  read_to_the_end(followers, all);
  uint64_t lost = 0;
  for (const auto& follower : followers) {
    EXPECT_EQ(follower->at(), total) << "seed " << seed();
    lost += follower->lost();
  }
  EXPECT_GT(lost, 0u);
}

}  // namespace
}  // namespace bgtask::faults
