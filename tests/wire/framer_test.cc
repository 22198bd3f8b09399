#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>

#include "protocol/wire/codec.h"
#include "protocol/wire/limits.h"
#include "protocol/wire/msgpack_scanner.h"

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
                                 {' ', Encoding::kJson},
                                 {'\x90', Encoding::kMsgpack},
                                 {'\x9f', Encoding::kMsgpack},
                                 {'\xdc', Encoding::kMsgpack},
                                 {'\xdd', Encoding::kMsgpack}}) {
    Framer framer(kMax, request_limits());
    EXPECT_FALSE(framer.encoding_known());
    framer.feed(std::string_view(&first, 1));
    EXPECT_EQ(framer.encoding(), encoding) << static_cast<int>(first);
  }
}

TEST(Framer, AFirstByteOfNeitherEncodingBreaksTheStreamAtOnce) {
  int refused = 0;
  for (int byte = 0; byte < 256; ++byte) {
    const char first = static_cast<char>(byte);
    Framer framer(kMax, request_limits());
    framer.feed(std::string_view(&first, 1));
    const auto frame = framer.next();
    if (!frame || *frame) continue;  // an empty map or array is complete
    ++refused;
    EXPECT_EQ(frame->error().code, ErrorCode::kParseError) << byte;
    EXPECT_TRUE(framer.broken()) << byte;
    EXPECT_FALSE(framer.in_frame()) << byte;
  }
  // All but those of a short map or array of msgpack, of a longer one, two brackets and four blanks.
  EXPECT_EQ(refused, 256 - 32 - 4 - 2 - 4);
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

// What comes out of a stream of msgpack that arrives in pieces, and how it ends.
struct Outcome {
  std::vector<Json> frames;
  std::vector<size_t> sizes;
  bool broken = false;
  bool in_frame = false;
  bool operator==(const Outcome&) const = default;
};

enum class Into { kBuffer, kRoom };

Outcome outcome(std::string_view bytes, size_t step, Into into, size_t max_frame) {
  Framer framer(max_frame, request_limits(), Encoding::kMsgpack);
  Outcome out;
  while (!bytes.empty()) {
    size_t n = std::min(step, bytes.size());
    const std::span<char> room = into == Into::kRoom ? framer.room() : std::span<char>();
    if (room.empty()) {
      framer.feed(bytes.substr(0, n));
    } else {
      n = std::min(n, room.size());
      std::memcpy(room.data(), bytes.data(), n);
      framer.received(n);
    }
    bytes.remove_prefix(n);
    while (auto frame = framer.next()) {
      out.frames.push_back(*frame ? **frame : Json(std::string(word(frame->error().code))));
      out.sizes.push_back(*frame ? framer.last_frame_size() : 0);
    }
  }
  out.broken = framer.broken();
  out.in_frame = framer.in_frame();
  return out;
}

constexpr size_t kMaxLong = 1 << 20;

// The outcome, once it is the same for several ways of cutting.
Outcome any_cut(std::string_view bytes, size_t max_frame = kMaxLong,
                std::vector<size_t> steps = {7, 1000, 4096, 20'000, 65'536, 200'000}) {
  const Outcome whole = outcome(bytes, bytes.size(), Into::kBuffer, max_frame);
  for (size_t step : steps) {
    for (Into into : {Into::kBuffer, Into::kRoom})
      EXPECT_TRUE(outcome(bytes, step, into, max_frame) == whole) << "pieces of " << step;
  }
  return whole;
}

Json binary_of(size_t size, char fill) {
  return binary_value(std::string(size, fill));
}

// Long ones of either kind, as values, elements and a key, with empty and short ones between them.
Json with_long_values() {
  Json document{{"empty", ""},
                {"none", binary_of(0, 'x')},
                {"list", Json::array()},
                {"after", true},
                {"one", binary_of(1, '\xff')}};
  for (size_t size : {4095u, 4096u, 4097u, 20'000u, 100'000u}) {
    document["list"].push_back(std::string(size, 's'));
    document["list"].push_back(binary_of(size, '\xfe'));
    document["list"].push_back("");
    document["nested"][std::to_string(size)] = {{{"deep", binary_of(size, '\x01')}}, nullptr, 1.5};
  }
  document[std::string(50'000, 'k')] = binary_of(50'000, 'v');
  return document;
}

TEST(Framer, LongValuesAreTheSameHoweverTheyAreCut) {
  const Json document = with_long_values();
  const std::string one = encode_msgpack(document);
  const Outcome out =
      any_cut(one + encode_msgpack({{"a", 1}}) + one, kMaxLong, {1, 7, 4096, 65'536, 200'000});
  ASSERT_EQ(out.frames.size(), 3u);
  EXPECT_TRUE(out.frames[0] == document && out.frames[2] == document);
  EXPECT_EQ(out.sizes[2], one.size());
  EXPECT_FALSE(out.broken || out.in_frame);
  EXPECT_TRUE(any_cut(one.substr(0, one.size() - 1)).in_frame);
}

TEST(Framer, ALongValueInTheLongestFramePasses) {
  for (const Json& value : {Json(std::string(300'000, 's')), binary_of(300'000, '\xfe')}) {
    const std::string frame = encode_msgpack({{"a", value}, {"b", value}, {"z", 1}});
    EXPECT_EQ(any_cut(frame, frame.size()).sizes, std::vector{frame.size()});
    const Outcome over = any_cut(frame, frame.size() - 1);
    EXPECT_EQ(over.frames, (std::vector<Json>{"frame_too_large"}));
    EXPECT_TRUE(over.broken);
  }
}

TEST(Framer, WhatIsWrongBehindALongValueIsFound) {
  const auto behind = [](std::string wrong) {
    std::string frame = encode_msgpack({{"a", binary_of(100'000, 'x')}, {"z", nullptr}});
    frame.replace(frame.size() - 1, 1, wrong);
    return any_cut(frame).frames;
  };
  EXPECT_EQ(behind("\xc1"), (std::vector<Json>{"parse_error"}));
  EXPECT_EQ(behind(std::string("\xc7\0\0", 3)), (std::vector<Json>{"parse_error"})) << "an extension";
  EXPECT_EQ(behind(std::string(kMaxDepth, '\x91')), (std::vector<Json>{"too_deep"}));
  EXPECT_EQ(behind("\xdd\xff\xff\xff\xff"), (std::vector<Json>{"frame_too_large"}));
  EXPECT_EQ(behind("\xc6\xff\xff\xff\xff"), (std::vector<Json>{"frame_too_large"}));
  EXPECT_EQ(behind("\xdc\x10\x01" + std::string(kMaxElements + 1, '\xc0')),
            (std::vector<Json>{"frame_too_large"}));
}

TEST(Framer, ALongKeyIsTextOrRefused) {
  const std::string frame = encode_msgpack({{std::string(30'000, 'k'), 1}});
  ASSERT_EQ(frame.substr(0, 2), "\x81\xda");
  std::string no_text = frame;
  no_text.replace(20'000, 1, "\xff");
  EXPECT_EQ(any_cut(no_text).frames, (std::vector<Json>{"parse_error"}));
  std::string binary = frame;
  binary.replace(1, 1, "\xc5");
  EXPECT_EQ(any_cut(binary).frames, (std::vector<Json>{"parse_error"}));
}

TEST(Framer, MutatedLongValuesMeanTheSameHoweverTheyAreCut) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const std::string frame = encode_msgpack({{"a", {binary_of(5000, '\x91'), std::string(40'000, '\x00'), ""}},
                                            {"b", 1},
                                            {"c", binary_of(4096, '\xa1')}});
  for (int i = 0; i < 500; ++i) {
    std::string bytes = frame + frame;
    for (size_t n = random() % 3 + 1; n > 0; --n) {
      // The headers are what matters: most of them lie at the beginning and behind the long ones.
      const size_t at = random() % 2 == 0 ? random() % 20 : random() % bytes.size();
      bytes[at] = static_cast<char>(random());
    }
    any_cut(bytes, random() % 2 == 0 ? frame.size() : 30'000, {random() % 50'000 + 100});
  }
}

TEST(Framer, OffersNoMoreRoomThanBytesHaveCome) {
  Framer framer(kMaxLong, request_limits());
  const std::string frame = encode_msgpack({{"a", binary_of(900'000, 'x')}});
  auto give = [&, at = size_t{0}](size_t n) mutable {
    framer.feed(std::string_view(frame).substr(at, n));
    at += n;
    EXPECT_FALSE(framer.next().has_value());
  };
  EXPECT_TRUE(framer.room().empty());
  give(100);
  EXPECT_TRUE(framer.room().empty()) << "it was announced, and that is all";
  give(60'000);
  const size_t room = framer.room().size();
  EXPECT_GT(room, 50'000u);
  EXPECT_LE(room, 60'100u);
  framer.received(0);
  EXPECT_EQ(framer.room().size(), room) << "nothing came";
  framer.received(0);
  give(830'000);
  EXPECT_TRUE(framer.room().empty()) << "too little is missing to be worth it";
}

TEST(Framer, RoomIsFilledWithZerosOnce) {
  for (const Json& value : {Json(std::string(900'000, 's')), binary_of(900'000, '\xfe')}) {
    Framer framer(kMaxLong, request_limits());
    const std::string frame = encode_msgpack({{"a", value}, {"z", 1}});
    framer.feed(std::string_view(frame).substr(0, 60'000));
    EXPECT_FALSE(framer.next().has_value());
    const std::span<char> room = framer.room();
    ASSERT_GT(room.size(), 50'000u);
    std::ranges::fill(room, '!');
    room[0] = frame[60'000];
    framer.received(1);
    const std::span<char> next = framer.room();
    ASSERT_EQ(next.data(), room.data() + 1);
    EXPECT_EQ(next.size(), room.size() + 1) << "as much more as has come";
    EXPECT_EQ(std::ranges::count(next, '!'), std::ssize(room) - 1);
    // What lies there is no part of the value, however the rest comes.
    framer.feed(std::string_view(frame).substr(60'001));
    const auto message = framer.next();
    ASSERT_TRUE(message && *message);
    EXPECT_TRUE((**message)["a"] == value);
  }
}

TEST(MsgpackScanner, WantsNothingMoreForAValueThatWasReplaced) {
  MsgpackScanner scanner(request_limits(), kMaxLong);
  EXPECT_EQ(scanner.scan(std::string("\x92\xc5\x40\x00x", 5)), MsgpackScanner::Progress::kNeedMore);
  EXPECT_EQ(scanner.wanted(), 4u + 0x4000);
  EXPECT_EQ(scanner.content(), 0x4000u);
  for (const std::string& behind : {std::string(), std::string("\xc5\x40")}) {
    EXPECT_EQ(scanner.scan(std::string("\x92\xc5\x00\x01x", 5) + behind),
              MsgpackScanner::Progress::kNeedMore);
    EXPECT_EQ(scanner.end(), 5u);
    EXPECT_EQ(scanner.wanted(), 0u);
    EXPECT_EQ(scanner.content(), 0u);
  }
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
