// Requests with bytes changed, cut, doubled and spliced, on live sockets.
#include <random>

#include "tests/faults/protocol_fixture.h"

namespace bgtask::faults {
namespace {

using Random = std::mt19937;

class ProtocolMutation : public ProtocolFaultTest, public testing::WithParamInterface<Encoding> {
 protected:
  /// Frames to begin with. A mutation may leave out the parameters of a request, so none of these methods
  /// does harm without them.
  std::vector<std::string> seeds() const {
    std::vector<std::string> frames;
    for (const Sample& sample : harmless_requests(GetParam())) {
      if (sample.method != "kill" && sample.method != "stop" && sample.method != "delete" &&
          sample.method != "pause")
        frames.push_back(request_text(GetParam(), sample.method, sample.params));
    }
    return frames;
  }
};

INSTANTIATE_TEST_SUITE_P(Encodings, ProtocolMutation, testing::ValuesIn(kEncodings),
                         [](const auto& test) { return e2e::encoding_name(test.param); });

void mutate(std::string& frame, const std::vector<std::string>& others, Random& random) {
  const auto somewhere = [&] { return random() % (frame.size() + 1); };
  const std::string& other = others[random() % others.size()];
  switch (random() % 7) {
    case 0:
      frame.resize(somewhere());
      break;
    case 1:
      frame.insert(somewhere(), 1 + random() % 8, static_cast<char>(random()));
      break;
    case 2:
      frame.erase(somewhere(), 1 + random() % 8);
      break;
    case 3:
      frame.insert(somewhere(), other.substr(random() % other.size()));
      break;
    case 4:
      frame += frame.substr(somewhere());
      break;
    default:
      if (!frame.empty()) frame[random() % frame.size()] = static_cast<char>(random());
  }
}

// A malformed object ends a msgpack stream, so later frames would not be parsed.
size_t frames_a_connection(Encoding encoding) {
  return encoding == Encoding::kJson ? 32 : 2;
}

TEST_P(ProtocolMutation, G3_G9_MutatedFramesHarmNobodyAndAValidClientIsServedMeanwhile) {
  const unsigned used_seed = seed();
  SCOPED_TRACE("BGTASK_SEED=" + std::to_string(used_seed));
  Random random(used_seed);
  const std::vector<std::string> frames = seeds();
  const size_t total = scaled<size_t>(15'000, 500'000);
  size_t replies = 0;
  for (size_t sent = 0, round = 0; sent < total; ++round) {
    const auto rude = connect(GetParam());
    ASSERT_TRUE(rude->connected()) << "after " << sent << " frames";
    std::string bytes;
    for (size_t i = 0; i < frames_a_connection(GetParam()); ++i, ++sent) {
      std::string frame = frames[random() % frames.size()];
      for (size_t changes = 1 + random() % 3; changes > 0; --changes)
        mutate(frame, frames, random);
      bytes += frame;
    }
    rude->send(bytes);
    // Some disconnect without reading the replies; a wait request may hold up the others.
    if (random() % 2 == 0) {
      rude->half_close();
      // The supervisor may not have been scheduled yet; after two replies to another client it has.
      for (int turn = 0; turn < 2; ++turn)
        ASSERT_EQ(polite().result("ping"), "pong");
      while (rude->receive(Milliseconds(e2e::kUnderAsan ? 50 : 5)))
        ++replies;
    }
    if (round % 64 == 0) {
      ASSERT_NO_FATAL_FAILURE(expect_served()) << "after " << sent << " frames";
    }
  }
  EXPECT_GT(replies, total / 20) << "most of what is refused is answered";
  expect_memory_below(8);
  EXPECT_TRUE(eventually([&] { return polite().result("info")["clients"] == 1; }));
  // A few of so many are valid after all, and their metadata and stdin data are kept.
  if (!nightly()) expect_nothing_left();
}

}  // namespace
}  // namespace bgtask::faults
