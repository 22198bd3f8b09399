// Slow senders, all at once because each case lasts ten seconds.
#include <chrono>

#include "tests/faults/protocol_fixture.h"

namespace bgtask::faults {
namespace {

using Clock = std::chrono::steady_clock;

class ProtocolSlow : public ProtocolFaultTest {
 protected:
  /// A client that sends one byte at a time, evenly over a time.
  struct Dripping {
    std::unique_ptr<RawClient> client;
    std::string bytes;
    Milliseconds step;
    int frames;
    size_t sent = 0;
    bool refused = false;
  };
  Dripping dripping(Encoding encoding, const std::string& bytes, Milliseconds in, int frames = 1) const {
    return {connect(encoding), bytes, in / static_cast<int64_t>(bytes.size()), frames};
  }
  /// Sends what is due, unless the connection is closed.
  static void drip(Dripping& one, Milliseconds since_begin) {
    const auto due = std::min(one.bytes.size(), static_cast<size_t>(since_begin / one.step) + 1);
    for (; one.sent < due && !one.refused; ++one.sent)
      one.refused = !one.client->send(one.bytes.substr(one.sent, 1));
  }
};

TEST_F(ProtocolSlow, G3_G9_OneByteAtATimeIsServedWithinTheLimitAndCutBeyondIt) {
  std::vector<Dripping> patient;
  std::vector<Dripping> too_slow;
  std::vector<std::unique_ptr<RawClient>> silent;
  for (const Encoding encoding : kEncodings) {
    const std::string ping = request_text(encoding, "ping", Json::object());
    patient.push_back(dripping(encoding, ping, Milliseconds(3'000)));
    patient.push_back(dripping(encoding, ping, Milliseconds(7'000)));
    // Each frame has its own ten seconds: together they take longer.
    patient.push_back(dripping(encoding, ping + ping, Milliseconds(12'000), 2));
    too_slow.push_back(dripping(encoding, ping, Milliseconds(25'000)));
    too_slow.push_back(dripping(encoding, ping, Milliseconds(14'000)));
    // The first frame is whole; the time of the second begins with its first byte.
    too_slow.push_back(dripping(encoding, ping.substr(0, 10), Milliseconds(1'000)));
    silent.push_back(connect(encoding));
  }
  const auto begin = Clock::now();
  for (Milliseconds now{0}; now < Milliseconds(12'500);) {
    now = std::chrono::duration_cast<Milliseconds>(Clock::now() - begin);
    for (auto* group : {&patient, &too_slow}) {
      for (Dripping& one : *group)
        drip(one, now);
    }
    ASSERT_EQ(polite().result("ping"), "pong") << "others are served meanwhile";
    polite().receive(Milliseconds(20));  // nothing comes: this is the pace of the loop
  }
  for (Dripping& one : patient) {
    EXPECT_FALSE(one.refused) << one.bytes;
    for (int i = 0; i < one.frames; ++i) {
      const auto reply = one.client->receive();
      ASSERT_TRUE(reply.has_value()) << one.bytes;
      EXPECT_EQ((*reply)["result"], "pong") << *reply;
    }
    EXPECT_EQ(one.client->result("ping"), "pong");
  }
  for (Dripping& one : too_slow) {
    const auto reply = one.client->receive();
    ASSERT_TRUE(reply.has_value()) << one.bytes << " in steps of " << one.step.count() << " ms";
    EXPECT_EQ(e2e::error_word(*reply), "frame_timeout") << *reply;
    EXPECT_TRUE(one.client->closed_by_peer());
  }
  for (auto& one : silent)
    EXPECT_EQ(one->result("ping"), "pong") << "who has begun no frame may take any time";
  patient.clear();
  too_slow.clear();
  silent.clear();
  expect_served();
  expect_memory_below(2);
  expect_nothing_left();
}

}  // namespace
}  // namespace bgtask::faults
