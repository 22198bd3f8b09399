#include "protocol/ring/message_ring.h"

#include <algorithm>
#include <cstring>
#include <deque>
#include <random>

#include "ring_fixture.h"

namespace bgtask::ring {
namespace {

MessageRing ring_of(Storage storage, Overflow overflow = Overflow::kDrop, uint64_t retain = 0) {
  const uint64_t capacity = storage.capacity();
  return MessageRing(std::move(storage), {.capacity = capacity, .retain = retain, .overflow = overflow});
}

MessageRead all_of(const MessageRing& ring) {
  return read_messages(RingView::over(ring.storage()), 0, UINT64_MAX, UINT64_MAX);
}

TEST(MessageRing, HasRoomForOneMaximalMessage) {
  EXPECT_EQ(MessageRing::capacity_for(1), 69'632u);
  EXPECT_EQ(MessageRing::capacity_for(1 << 20), uint64_t{1} << 20);
  MessageRing ring = ring_of(memory(MessageRing::capacity_for(1), Kind::kMessages));
  for (uint64_t i = 0; i < 5; ++i) {
    EXPECT_TRUE(ring.append(as_span(pattern(i, kMaxMessage)), i).kept);
    const MessageRead read = all_of(ring);
    ASSERT_EQ(read.messages.size(), 1u);
    EXPECT_EQ(read.messages[0].data, pattern(i, kMaxMessage));
    EXPECT_EQ(read.missed, i);
    EXPECT_EQ(ring.positions().lost, i);
  }
  EXPECT_FALSE(ring.append(as_span(pattern(0, kMaxMessage + 1)), 0).kept);
  EXPECT_EQ(ring.positions().limit, 5u);
}

TEST(MessageRing, EmptyMessagesAreMessages) {
  MessageRing ring = ring_of(memory(4096, Kind::kMessages));
  ring.append({}, 11);
  ring.append(as_span(std::string("a")), 12);
  ring.append({}, 13);
  const MessageRead read = all_of(ring);
  ASSERT_EQ(read.messages.size(), 3u);
  EXPECT_EQ(read.messages[0].data, "");
  EXPECT_EQ(read.messages[1].data, "a");
  EXPECT_EQ(read.messages[2].offset, 2u);
  EXPECT_EQ(read.messages[2].time_ns, 13u);
}

TEST(MessageRing, BlockRefusesAndLosesNothing) {
  MessageRing ring = ring_of(memory(4096, Kind::kMessages), Overflow::kBlock);
  uint64_t count = 0;
  while (ring.append(as_span(pattern(count, 100)), 0).kept)
    ++count;
  EXPECT_EQ(count, 4096u / 128);
  EXPECT_FALSE(ring.has_room(0));
  EXPECT_EQ(ring.positions(), (Positions{0, 0, count, 0, false, 0}));
  ring.consume(1);
  EXPECT_TRUE(ring.has_room(104));
  EXPECT_FALSE(ring.has_room(105));
  EXPECT_TRUE(ring.append(as_span(pattern(count, 100)), 0).kept);
  EXPECT_EQ(all_of(ring).messages.size(), count);
}

TEST(MessageRing, PagedReading) {
  MessageRing ring = ring_of(memory(65536, Kind::kMessages));
  for (uint64_t i = 0; i < 10; ++i)
    ring.append(as_span(pattern(i, 100)), i);
  const RingView view = RingView::over(ring.storage());
  EXPECT_EQ(read_messages(view, 0, 100, 350).messages.size(), 3u);
  EXPECT_EQ(read_messages(view, 0, 100, 0).messages.size(), 1u);
  EXPECT_EQ(read_messages(view, 4, 2, 1000).messages[1].data, pattern(5, 100));
  const MessageRead past = read_messages(view, 10, 5, 1000);
  EXPECT_TRUE(past.messages.empty());
  EXPECT_EQ(past.offset, 10u);
  EXPECT_EQ(past.missed, 0u);
}

TEST(MessageRing, RandomMessagesAgainstADeque) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  for (Overflow overflow : {Overflow::kDrop, Overflow::kBlock}) {
    for (uint64_t retain : {0, 3}) {
      TempDir dir;
      MessageRing ring = ring_of(create(dir, "data", 8192, Kind::kMessages), overflow, retain);
      std::deque<std::string> model;  // messages start..limit
      Positions expected;
      uint64_t bytes = 0;
      const auto size = [](const std::string& m) { return 24 + (m.size() + 7) / 8 * 8; };
      const auto pop = [&] {
        bytes -= size(model.front());
        model.pop_front();
        ++expected.start;
      };
      for (int step = 0; step < 20'000; ++step) {
        if (random() % 3 != 0) {
          const std::string message = pattern(random(), random() % 20 == 0 ? random() % 4000 : random() % 40);
          uint64_t unconsumed = 0;
          for (uint64_t i = expected.consumed; i < expected.limit; ++i)
            unconsumed += size(model[i - expected.start]);
          const bool fits = unconsumed + size(message) <= 8192;
          ASSERT_EQ(ring.has_room(message.size()), fits);
          const bool kept = ring.append(as_span(message), static_cast<uint64_t>(step)).kept;
          ASSERT_EQ(kept, fits || overflow == Overflow::kDrop);
          if (!kept) continue;
          while (bytes + size(message) > 8192) {
            if (expected.start == expected.consumed) ++expected.consumed, ++expected.lost;
            pop();
          }
          model.push_back(message);
          bytes += size(message);
          ++expected.limit;
        } else {
          const uint64_t end = expected.start + random() % (model.size() + 1);
          const bool discard = random() % 4 == 0;
          discard ? ring.discard(end) : ring.consume(end);
          expected.consumed = std::max(expected.consumed, end);
          const uint64_t start = discard ? end : expected.consumed - std::min(expected.consumed, retain);
          while (expected.start < start)
            pop();
        }
        ASSERT_EQ(ring.positions(), expected) << text_of(ring.positions()) << " / " << text_of(expected);
        if (step % 16 != 0) continue;
        const MessageRead read = all_of(ring);
        ASSERT_EQ(read.messages.size(), model.size());
        for (size_t i = 0; i < model.size(); ++i)
          ASSERT_EQ(read.messages[i].data, model[i]);
        if (step % 160 == 0) {
          MessageRing again = ring_of(reopen(dir, "data", Kind::kMessages), overflow, retain);
          ASSERT_EQ(again.positions(), expected);
          ring = std::move(again);
        }
      }
    }
  }
}

TEST(MessageRing, LocatesMessages) {
  MessageRing ring = ring_of(memory(4096, Kind::kMessages));
  for (uint64_t i = 0; i < 100; ++i)
    ring.append(as_span(pattern(i, i)), i + 1000);
  EXPECT_FALSE(ring.locate(0));
  EXPECT_FALSE(ring.locate(100));
  const auto found = ring.locate(99);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->length, 99u);
  EXPECT_EQ(found->time_ns, 1099u);
  EXPECT_EQ(message_at(RingView::over(ring.storage()), found->position, 99)->data, pattern(99, 99));
  EXPECT_FALSE(message_at(RingView::over(ring.storage()), found->position, 98));
}

TEST(MessageRing, NonsenseFramesAreGoneAndCounted) {
  TempDir dir;
  {
    MessageRing ring = ring_of(create(dir, "data", 4096, Kind::kMessages));
    for (uint64_t i = 0; i < 3; ++i)
      ring.append(as_span(pattern(i, 10)), i);
    const uint64_t nonsense = 77;
    std::memcpy(ring.storage().data() + 40, &nonsense, sizeof nonsense);
  }
  const MessageRead read = read_messages(view(dir, "data", Access::kPread, Kind::kMessages), 0, 100, 1 << 20);
  EXPECT_EQ(read.messages.size(), 1u);
  const MessageRead rest = read_messages(view(dir, "data", Access::kMap, Kind::kMessages), 1, 100, 1 << 20);
  EXPECT_TRUE(rest.messages.empty());
  EXPECT_EQ(rest.offset, 3u);
  EXPECT_EQ(rest.missed, 2u);
  MessageRing ring = ring_of(reopen(dir, "data", Kind::kMessages));
  EXPECT_EQ(ring.positions(), (Positions{3, 3, 3, 3, false, 0}));
  ring.append(as_span(std::string("next")), 9);
  EXPECT_EQ(all_of(ring).messages.at(0).data, "next");
}

}  // namespace
}  // namespace bgtask::ring
