#include "ring_fixture.h"

#include <algorithm>
#include <cerrno>

namespace bgtask::ring {
namespace {

using IntakeKind = ByteRing::Intake::Kind;

ByteRing dropping(uint64_t capacity, uint64_t retain = 0) {
  return ByteRing(memory(capacity), {.capacity = capacity, .retain = retain, .overflow = Overflow::kDrop});
}
ByteRing blocking(uint64_t capacity, uint64_t retain = 0) {
  return ByteRing(memory(capacity), {.capacity = capacity, .retain = retain, .overflow = Overflow::kBlock});
}
std::string all_of(const ByteRing& ring) {
  return read_bytes(RingView::over(ring.storage()), 0, UINT64_MAX).data;
}

TEST(ByteRing, SixtyFourKiBAfterAMebibyteIsExact) {
  TempDir dir;
  ByteRing ring(create(dir, "stdout", 64 * 1024), {.capacity = 64 * 1024});
  Pipe pipe;
  constexpr uint64_t kTotal = 1 << 20;
  uint64_t written = 0;
  while (written < kTotal) {
    written += pipe.put(pattern(written, std::min<uint64_t>(kTotal - written, 50'000)));
    for (auto intake = ring.take_in(pipe.read_end.get(), 65536); intake.kind != IntakeKind::kNothing;
         intake = ring.take_in(pipe.read_end.get(), 65536)) {
      ASSERT_EQ(intake.kind, IntakeKind::kBytes);
    }
  }
  EXPECT_EQ(ring.positions(), (Positions{kTotal - 65536, kTotal - 65536, kTotal, kTotal - 65536, false, 0}));
  EXPECT_EQ(all_of(ring), pattern(kTotal - 65536, 65536));
  for (Access access : {Access::kMap, Access::kPread}) {
    const ByteRead read = read_bytes(view(dir, "stdout", access), 0, UINT64_MAX);
    EXPECT_EQ(read.offset, kTotal - 65536);
    EXPECT_EQ(read.missed, kTotal - 65536);
    EXPECT_EQ(read.data, pattern(kTotal - 65536, 65536));
  }
}

TEST(ByteRing, TakeInReportsNothingBytesAndEof) {
  ByteRing ring = dropping(4096);
  Pipe pipe;
  EXPECT_EQ(ring.take_in(pipe.read_end.get(), 100).kind, IntakeKind::kNothing);
  pipe.put("hello");
  const auto intake = ring.take_in(pipe.read_end.get(), 100);
  EXPECT_EQ(intake.kind, IntakeKind::kBytes);
  EXPECT_EQ(intake.offset, 0u);
  EXPECT_EQ(intake.length, 5u);
  pipe.write_end.reset();
  EXPECT_EQ(ring.take_in(pipe.read_end.get(), 100).kind, IntakeKind::kEof);
  EXPECT_FALSE(ring.positions().eof);
  ring.set_eof(true);
  ring.set_error(EIO);
  EXPECT_TRUE(ring.positions().eof);
  EXPECT_EQ(ring.positions().error, EIO);
  const auto failed = ring.take_in(-1, 100);
  EXPECT_EQ(failed.kind, IntakeKind::kFailed);
  EXPECT_EQ(failed.error, EBADF);
}

TEST(ByteRing, TakesNoMoreThanAskedFor) {
  ByteRing ring = dropping(65536);
  Pipe pipe;
  pipe.put(pattern(0, 1000));
  EXPECT_EQ(ring.take_in(pipe.read_end.get(), 7).length, 7u);
  EXPECT_EQ(ring.take_in(pipe.read_end.get(), 65536).length, 993u);
  EXPECT_EQ(all_of(ring), pattern(0, 1000));
}

TEST(ByteRing, ASmallReadDropsNothingMore) {
  ByteRing ring = dropping(4096);
  ring.append(as_span(pattern(0, 4096)));
  Pipe pipe;
  pipe.put("x");
  ring.take_in(pipe.read_end.get(), 4096);
  EXPECT_EQ(ring.positions(), (Positions{1, 1, 4097, 1, false, 0}));
  ring.take_in(pipe.read_end.get(), 4096);
  EXPECT_EQ(ring.positions(), (Positions{1, 1, 4097, 1, false, 0}));
  EXPECT_EQ(all_of(ring), pattern(1, 4095) + "x");
}

TEST(ByteRing, OnlyUnconsumedBytesAreLost) {
  ByteRing ring = dropping(4096, 1000);
  ring.append(as_span(pattern(0, 4000)));
  ring.consume(3000);
  EXPECT_EQ(ring.positions(), (Positions{2000, 3000, 4000, 0, false, 0}));
  ring.append(as_span(pattern(4000, 3000)));
  EXPECT_EQ(ring.positions(), (Positions{2904, 3000, 7000, 0, false, 0}));
  ring.append(as_span(pattern(7000, 200)));
  EXPECT_EQ(ring.positions(), (Positions{3104, 3104, 7200, 104, false, 0}));
  EXPECT_EQ(all_of(ring), pattern(3104, 4096));
}

TEST(ByteRing, ConsumeAndDiscardNeverGoBackNorPastTheEnd) {
  ByteRing ring = dropping(4096, 500);
  ring.append(as_span(pattern(0, 1000)));
  ring.consume(5000);
  EXPECT_EQ(ring.positions(), (Positions{500, 1000, 1000, 0, false, 0}));
  ring.consume(10);
  EXPECT_EQ(ring.positions(), (Positions{500, 1000, 1000, 0, false, 0}));
  ring.discard(700);
  EXPECT_EQ(ring.positions(), (Positions{700, 1000, 1000, 0, false, 0}));
  ring.discard(UINT64_MAX);
  EXPECT_EQ(ring.positions(), (Positions{1000, 1000, 1000, 0, false, 0}));
}

TEST(ByteRing, BlockLosesNothing) {
  ByteRing ring = blocking(4096, 4096);
  Pipe pipe;
  const std::string all = pattern(0, 200'000);
  ASSERT_EQ(pipe.put(all), all.size());
  std::string got;
  while (got.size() < all.size()) {
    const auto intake = ring.take_in(pipe.read_end.get(), 3000);
    if (intake.kind == IntakeKind::kFull) {
      EXPECT_EQ(ring.room(), 0u);
      const ByteRead read = read_bytes(RingView::over(ring.storage()), got.size(), 1234);
      got += read.data;
      ring.consume(got.size());
    } else if (intake.kind == IntakeKind::kNothing) {
      got += read_bytes(RingView::over(ring.storage()), got.size(), UINT64_MAX).data;
    }
  }
  EXPECT_EQ(got, all);
  EXPECT_EQ(ring.positions().lost, 0u);
}

TEST(ByteRing, AppendWithBlockTakesWhatFits) {
  ByteRing ring = blocking(4096);
  auto intake = ring.append(as_span(pattern(0, 5000)));
  EXPECT_EQ(intake.length, 4096u);
  EXPECT_EQ(ring.append(as_span(pattern(0, 1))).kind, IntakeKind::kFull);
  EXPECT_EQ(ring.append({}).kind, IntakeKind::kNothing);
}

TEST(ByteRing, PagesGoBackOnceConsumed) {
  TempDir dir;
  ByteRing ring(create(dir, "stdout", 1 << 20), {.capacity = 1 << 20});
  ring.append(as_span(pattern(0, 900'000)));
  EXPECT_GE(dir.blocks("stdout"), 900'000u);
  ring.consume(450'000);
  EXPECT_LE(dir.blocks("stdout"), 450'000u + 2 * kReserveChunk + kHeaderSize);
  ring.consume(900'000);
  EXPECT_LE(dir.blocks("stdout"), kHeaderSize + 4096);
  ring.append(as_span(pattern(900'000, 500'000)));
  EXPECT_EQ(all_of(ring), pattern(900'000, 500'000));
}

TEST(ByteRing, PagesGoBackHoweverTheRingCameRound) {
  for (Overflow overflow : {Overflow::kDrop, Overflow::kBlock}) {
    TempDir dir;
    ByteRing ring(create(dir, "stdout", 128 * 1024), {.capacity = 128 * 1024, .overflow = overflow});
    for (uint64_t round = 1; round < 40; ++round) {
      const uint64_t limit = ring.positions().limit;
      const uint64_t length = round * 7001 % (128 * 1024);
      ASSERT_EQ(ring.append(as_span(pattern(limit, length))).length, length);
      ASSERT_EQ(all_of(ring), pattern(limit, length));
      ring.consume(limit + length);
      ASSERT_LE(dir.blocks("stdout"), kHeaderSize + 4096);
    }
  }
}

TEST(ByteRing, EofGivesBackWhatWasReservedButNothingLive) {
  for (uint64_t length : {10, 30'000, 100'000}) {
    TempDir dir;
    ByteRing ring(create(dir, "stdout", 65536), {.capacity = 65536});
    Pipe pipe;
    pipe.put(pattern(0, length));
    pipe.write_end.reset();
    while (ring.take_in(pipe.read_end.get(), 65536).kind != IntakeKind::kEof) {
    }
    const uint64_t start = length - std::min<uint64_t>(length, 65536);
    EXPECT_EQ(all_of(ring), pattern(start, length - start));
    EXPECT_LE(dir.blocks("stdout"), kHeaderSize + (length - start) + 4096);
  }
}

TEST(ByteRing, ContinuesFromItsFile) {
  TempDir dir;
  {
    ByteRing ring(create(dir, "stdout", 8192), {.capacity = 8192});
    ring.append(as_span(pattern(0, 20'000)));
    ring.consume(15'000);
    ring.set_eof(true);
  }
  ByteRing ring(reopen(dir, "stdout"), {.capacity = 8192});
  EXPECT_EQ(ring.positions(), (Positions{15'000, 15'000, 20'000, 20'000 - 8192, true, 0}));
  ring.set_eof(false);
  ring.append(as_span(pattern(20'000, 100)));
  EXPECT_EQ(all_of(ring), pattern(15'000, 5'100));
}

TEST(ByteRing, CountsWhatAKilledWriterMayHaveOverwritten) {
  TempDir dir;
  {
    ByteRing ring(create(dir, "stdout", 8192), {.capacity = 8192});
    ring.append(as_span(pattern(0, 10'000)));
    ring.storage().header().write_end.store(10'500);
  }
  ByteRing ring(reopen(dir, "stdout"), {.capacity = 8192});
  EXPECT_EQ(ring.positions(), (Positions{10'500 - 8192, 10'500 - 8192, 10'000, 10'500 - 8192, false, 0}));
}

TEST(ByteRing, FinishesTheUpdateOfAKilledWriter) {
  TempDir dir;
  {
    ByteRing ring(create(dir, "stdout", 8192), {.capacity = 8192});
    ring.append(as_span(pattern(0, 10'000)));
    ring.append(as_span(pattern(10'000, 10)));
    Header& header = ring.storage().header();
    header.sequence.fetch_add(1);
    header.limit.store(10'000);
    header.lost.store(0);
  }
  EXPECT_EQ(view(dir, "stdout", Access::kMap).positions().limit, 10'010u);
  EXPECT_EQ(view(dir, "stdout", Access::kPread).positions().lost, 10'010u - 8192);
  ByteRing ring(reopen(dir, "stdout"), {.capacity = 8192});
  EXPECT_EQ(ring.positions(), (Positions{1818, 1818, 10'010, 1818, false, 0}));
  EXPECT_EQ(ring.storage().header().sequence.load() % 2, 0u);
}

TEST(ByteRing, BeginsWhereItIsTold) {
  ByteRing ring = dropping(8192);
  ring.begin_at(1'000'001, 17);
  EXPECT_EQ(ring.positions(), (Positions{1'000'001, 1'000'001, 1'000'001, 17, false, 0}));
  ring.append(as_span(pattern(1'000'001, 9000)));
  EXPECT_EQ(all_of(ring), pattern(1'000'001 + 9000 - 8192, 8192));
}

}  // namespace
}  // namespace bgtask::ring
