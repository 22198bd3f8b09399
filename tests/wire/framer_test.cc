#include <gtest/gtest.h>

#include <random>

#include "protocol/wire/codec.h"
#include "protocol/wire/limits.h"

namespace bgtask::wire {
namespace {

constexpr size_t kMax = 4096;

// Feeds `bytes` in pieces of at most `step` and returns what comes out: documents, or error words as strings.
std::vector<Json> frames(Framer& framer, std::string_view bytes, size_t step) {
  std::vector<Json> out;
  while (!bytes.empty()) {
    size_t n = std::min(step, bytes.size());
    framer.feed(bytes.substr(0, n));
    bytes.remove_prefix(n);
    while (auto frame = framer.next())
      out.push_back(*frame ? **frame : Json(std::string(word(frame->error().code))));
  }
  return out;
}

TEST(Framer, FirstByteChoosesTheEncoding) {
  for (auto [first, encoding] : {std::pair<char, Encoding>{'{', Encoding::kJson},
                                 {'\x80', Encoding::kMsgpack},
                                 {'\x8f', Encoding::kMsgpack},
                                 {'\xde', Encoding::kMsgpack},
                                 {'\xdf', Encoding::kMsgpack},
                                 {'[', Encoding::kJson},
                                 {'\n', Encoding::kJson},
                                 {'\x90', Encoding::kJson}}) {
    Framer framer(kMax, request_limits());
    EXPECT_FALSE(framer.encoding_known());
    framer.feed(std::string_view(&first, 1));
    EXPECT_EQ(framer.encoding(), encoding) << static_cast<int>(first);
  }
}

TEST(Framer, AnyChunkingGivesTheSameMessages) {
  std::vector<Json> messages;
  for (int i = 0; i < 20; ++i)
    messages.push_back({{"n", i}, {"text", std::string(static_cast<size_t>(i * 13), 'x')}});
  auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (Encoding encoding : {Encoding::kJson, Encoding::kMsgpack}) {
    std::string bytes;
    for (const Json& message : messages)
      bytes += encode_frame(message, encoding);
    for (size_t step : {size_t{1}, size_t{7}, size_t{random() % 500 + 1}, bytes.size()}) {
      Framer framer(kMax, request_limits());
      EXPECT_EQ(frames(framer, bytes, step), messages) << step;
      EXPECT_FALSE(framer.in_frame());
    }
  }
}

TEST(Framer, MalformedJsonLeavesTheStreamUsable) {
  Framer framer(kMax, request_limits());
  auto out = frames(framer, "{bad\n\n  \n{\"ok\":1}\n", 3);
  EXPECT_EQ(out, (std::vector<Json>{"parse_error", Json{{"ok", 1}}}));
  EXPECT_FALSE(framer.broken());
}

TEST(Framer, MalformedMsgpackBreaksTheStream) {
  Framer framer(kMax, request_limits());
  EXPECT_EQ(frames(framer, std::string("\x81\xa1k\xc1", 4), 1), (std::vector<Json>{"parse_error"}));
  EXPECT_TRUE(framer.broken());
  framer.feed(encode_msgpack({{"ok", 1}}));
  EXPECT_FALSE(framer.next().has_value());
}

TEST(Framer, OversizedFramesBreakTheStream) {
  Framer json(kMax, request_limits());
  EXPECT_EQ(frames(json, "{\"a\":\"" + std::string(64 << 20, 'x'), 64 * 1024),
            (std::vector<Json>{"frame_too_large"}));
  EXPECT_TRUE(json.broken());
  Framer msgpack(kMax, request_limits());
  std::string large = encode_msgpack({{"a", std::string(kMax * 2, 'x')}});
  EXPECT_EQ(frames(msgpack, large, 100), (std::vector<Json>{"frame_too_large"}));
  EXPECT_TRUE(msgpack.broken());
}

TEST(Framer, AFrameOfTheLongestSizePasses) {
  std::string line = "{\"a\":\"" + std::string(kMax - 8, 'x') + "\"}";
  ASSERT_EQ(line.size(), kMax);
  Framer framer(kMax, request_limits());
  EXPECT_EQ(frames(framer, line + "\n", 1000).size(), 1u);
  EXPECT_EQ(framer.last_frame_size(), kMax);
  Framer over(kMax, request_limits());
  EXPECT_EQ(frames(over, line + " \n", 5000), (std::vector<Json>{"frame_too_large"}));
}

// What is nested too deeply behind the longest frame is not looked at, though it arrived with the rest.
TEST(Framer, ALineIsTooLongBeforeItIsTooDeepHoweverItIsCut) {
  const std::string nested(kMaxDepth + 1, '[');
  const auto outcome = [&](size_t nested_at, size_t step) {
    Framer framer(kMax, request_limits());
    return frames(framer, std::string(nested_at, ' ') + nested + "\n", step);
  };
  for (size_t step : {size_t{1}, size_t{64}, 2 * kMax}) {
    EXPECT_EQ(outcome(kMax - kMaxDepth, step), (std::vector<Json>{"too_deep"})) << step;
    EXPECT_EQ(outcome(kMax - kMaxDepth + 1, step), (std::vector<Json>{"frame_too_large"})) << step;
    EXPECT_EQ(outcome(kMax * 3 / 2, step), (std::vector<Json>{"frame_too_large"})) << step;
  }
}

TEST(Framer, LyingHeadersAreRefusedAtOnce) {
  Framer framer(kMax, request_limits());
  EXPECT_EQ(frames(framer, std::string("\x81\xa1k\xdd\xff\xff\xff\xff", 8), 8),
            (std::vector<Json>{"frame_too_large"}));
}

TEST(Framer, KnowsWhetherAFrameHasBegun) {
  Framer framer(kMax, request_limits());
  EXPECT_FALSE(framer.in_frame());
  framer.feed("{\"a\"");
  EXPECT_FALSE(framer.next().has_value());
  EXPECT_TRUE(framer.in_frame());
  framer.feed(":1}\n");
  EXPECT_TRUE(framer.next().has_value());
  EXPECT_FALSE(framer.next().has_value());
  EXPECT_FALSE(framer.in_frame());
}

}  // namespace
}  // namespace bgtask::wire
