#include <cstring>
#include <random>

#include "protocol/ring/index_ring.h"
#include "protocol/ring/message_ring.h"
#include "protocol/ring/output_reader.h"
#include "ring_fixture.h"

namespace bgtask::ring {
namespace {

class RingViewTest : public ::testing::TestWithParam<Access> {
 protected:
  RingView open(const char* name, Kind kind = Kind::kBytes) { return view(dir_, name, GetParam(), kind); }
  ErrorCode refusal(const char* name, Kind kind = Kind::kBytes) {
    const auto opened = RingView::open(dir_.fd(), name, kind, GetParam());
    EXPECT_FALSE(opened.has_value());
    return opened ? ErrorCode::kBusy : opened.error().code;
  }
  io::UniqueFd raw(const char* name) { return io::UniqueFd(::openat(dir_.fd(), name, O_RDWR | O_CLOEXEC)); }
  TempDir dir_;
};

INSTANTIATE_TEST_SUITE_P(Both, RingViewTest, ::testing::Values(Access::kMap, Access::kPread),
                         [](const auto& access) { return access.param == Access::kMap ? "Map" : "Pread"; });

TEST_P(RingViewTest, ReadsRanges) {
  ByteRing ring(create(dir_, "ring", 4096), {.capacity = 4096});
  ring.append(as_span(pattern(0, 5000)));
  const RingView view = open("ring");
  EXPECT_EQ(view.kind(), Kind::kBytes);
  EXPECT_EQ(view.capacity(), 4096u);
  EXPECT_EQ(view.positions(), ring.positions());
  struct {
    uint64_t offset, count, begin, length, missed;
  } const cases[] = {
      {1000, 35, 1000, 35, 0},
      {0, 35, 35, 0, 35},
      {900, 10, 904, 6, 4},
      {0, 5000, 904, 4096, 904},
      {4990, 100, 4990, 10, 0},
      {5000, 10, 5000, 0, 0},
      {9000, 10, 9000, 0, 0},
      {0, UINT64_MAX, 904, 4096, 904},
      {UINT64_MAX, UINT64_MAX, UINT64_MAX, 0, 0},
      {1000, 0, 1000, 0, 0},
  };
  for (const auto& c : cases) {
    const ByteRead read = read_bytes(view, c.offset, c.count);
    EXPECT_EQ(read.offset, c.begin) << c.offset << " " << c.count;
    EXPECT_EQ(read.data, pattern(c.begin, c.length));
    EXPECT_EQ(read.missed, c.missed);
  }
}

TEST_P(RingViewTest, CopyRefusesWhatIsNotThere) {
  ByteRing ring(create(dir_, "ring", 4096), {.capacity = 4096});
  ring.append(as_span(pattern(0, 5000)));
  ring.discard(1000);
  const RingView view = open("ring");
  std::byte bytes[4096];
  EXPECT_TRUE(view.copy(1000, 4000, bytes));
  EXPECT_FALSE(view.copy(999, 1, bytes));
  EXPECT_FALSE(view.copy(4999, 2, bytes));
  EXPECT_FALSE(view.copy(UINT64_MAX, 2, bytes));
  EXPECT_TRUE(view.copy(0, 0, bytes));
}

TEST_P(RingViewTest, WhatMayBeBeingOverwrittenIsMissed) {
  ByteRing ring(create(dir_, "ring", 4096), {.capacity = 4096});
  ring.append(as_span(pattern(0, 5000)));
  ring.storage().header().write_end.store(5100);  // as a writer killed in the middle leaves it
  const ByteRead read = read_bytes(open("ring"), 0, UINT64_MAX);
  EXPECT_EQ(read.offset, 1004u);
  EXPECT_EQ(read.missed, 1004u);
  EXPECT_EQ(read.data, pattern(1004, 3996));
}

TEST_P(RingViewTest, ShowsAGapAtItsPlaceInTheHeader) {
  constexpr size_t kFlagsAt = 184;  // docs/ring-format.md
  ByteRing ring(create(dir_, "ring", 4096), {.capacity = 4096});
  const RingView view = open("ring");
  EXPECT_FALSE(view.positions().gap);
  ring.set_gap();
  EXPECT_TRUE(view.positions().gap);
  EXPECT_TRUE(ring.positions().gap);
  ring.set_eof(true);
  EXPECT_TRUE(view.positions().gap);
  EXPECT_TRUE(view.positions().eof);
  uint32_t flags = 0;
  ASSERT_EQ(::pread(raw("ring").get(), &flags, sizeof flags, kFlagsAt), static_cast<ssize_t>(sizeof flags));
  EXPECT_EQ(flags, 1u);
}

TEST_P(RingViewTest, RefusesWhatIsNoRing) {
  create(dir_, "ring", 4096);
  EXPECT_EQ(refusal("ring", Kind::kIndex), ErrorCode::kBadArgument);
  ASSERT_EQ(::symlinkat("ring", dir_.fd(), "link"), 0);
  EXPECT_EQ(refusal("link"), ErrorCode::kUnsafePool);
  ASSERT_EQ(::mkfifoat(dir_.fd(), "fifo", 0600), 0);
  EXPECT_EQ(refusal("fifo"), ErrorCode::kUnsafePool);
  EXPECT_EQ(refusal("none"), ErrorCode::kNotFound);
  io::UniqueFd fd = raw("ring");
  const uint32_t version = 2;
  ASSERT_EQ(::pwrite(fd.get(), &version, 4, 8), 4);
  EXPECT_EQ(refusal("ring"), ErrorCode::kVersionMismatch);
  ASSERT_EQ(::pwrite(fd.get(), "x", 1, 0), 1);
  EXPECT_EQ(refusal("ring"), ErrorCode::kBadArgument);
  ASSERT_EQ(::ftruncate(fd.get(), 0), 0);
  EXPECT_EQ(refusal("ring"), ErrorCode::kBadArgument);
}

TEST_P(RingViewTest, RefusesACapacityBeyondTheFile) {
  {
    Storage storage = create(dir_, "ring", 4096);
    Header& header = storage.header();
    header.capacity = uint64_t{1} << 30;
    header.checksum = crc32(std::as_bytes(std::span(reinterpret_cast<const char*>(&header), 32)));
  }
  EXPECT_EQ(refusal("ring"), ErrorCode::kBadArgument);
  io::UniqueFd fd = raw("ring");
  ASSERT_EQ(::ftruncate(fd.get(), 4096 + (off_t{1} << 30)), 0);
  open("ring");
}

TEST_P(RingViewTest, SurvivesAnyCounters) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  ByteRing out(create(dir_, "out", 8192), {});
  ByteRing err(create(dir_, "err", 8192), {});
  MessageRing data(create(dir_, "data", 8192, Kind::kMessages), {});
  IndexRing index(create(dir_, "index", 8192, Kind::kIndex));
  for (uint64_t i = 0; i < 200; ++i) {
    index.append(StreamId::kStdout, i * 50, i * 50, out.append(as_span(pattern(i, 50))).length, i);
    const auto message = data.append(as_span(pattern(i, i)), i);
    index.append(StreamId::kData, i, message.position, i, i);
  }
  const RingView views[] = {open("index", Kind::kIndex), open("out"), open("err"),
                            open("data", Kind::kMessages)};
  Header* headers[] = {&index.storage().header(), &out.storage().header(), &err.storage().header(),
                       &data.storage().header()};
  const auto nonsense = [&]() -> uint64_t {
    switch (random() % 4) {
      case 0:
        return random();
      case 1:
        return UINT64_MAX - random() % 100;
      case 2:
        return random() % 20'000;
      default:
        return uint64_t{1} << random() % 64;
    }
  };
  for (int i = 0; i < 60; ++i) {
    for (Header* header : headers) {
      header->sequence.store(static_cast<uint32_t>(random() % 4));
      for (auto* field : {&header->start, &header->consumed, &header->limit, &header->lost,
                          &header->start_position, &header->limit_position, &header->pending.start,
                          &header->pending.limit, &header->pending.limit_position}) {
        if (random() % 2 == 0) field->store(nonsense());
      }
      if (random() % 8 == 0) header->write_end.store(nonsense());
    }
    index.storage().data()[random() % 8192] = static_cast<std::byte>(random());
    data.storage().data()[random() % 8192] = static_cast<std::byte>(random());
    for (const RingView& view : views) {
      const Positions p = view.positions();
      EXPECT_LE(p.start, p.consumed);
      EXPECT_LE(p.consumed, p.limit);
      EXPECT_LE(p.lost, p.limit);
    }
    EXPECT_LE(read_bytes(views[1], nonsense(), nonsense()).data.size(), 8192u);
    read_messages(views[3], nonsense(), nonsense(), nonsense());
    OutputReader(views[0], views[1], views[2], views[3]).read(nonsense(), kAllOutput, 1 << 20);
  }
}

TEST_P(RingViewTest, OneReadIsBoundedWhateverTheHeaderClaims) {
  ByteRing ring(create(dir_, "ring", uint64_t{1} << 36), {});
  Header& header = ring.storage().header();
  for (auto* field : {&header.limit, &header.limit_position, &header.write_end})
    field->store(uint64_t{1} << 36);
  EXPECT_EQ(read_bytes(open("ring"), 0, UINT64_MAX).data.size(), kMaxRead);
}

TEST(RingView, TruncationMeanwhileIsGoneNotFatal) {
  TempDir dir;
  ByteRing ring(create(dir, "ring", 8192), {});
  ring.append(as_span(pattern(0, 8000)));
  const RingView by_pread = view(dir, "ring", Access::kPread);
  const RingView by_map = view(dir, "ring", Access::kMap);
  io::UniqueFd fd(::openat(dir.fd(), "ring", O_RDWR | O_CLOEXEC));
  ASSERT_EQ(::ftruncate(fd.get(), 6000), 0);
  EXPECT_EQ(read_bytes(by_pread, 0, 8000).missed, 8000u);
  EXPECT_EQ(read_bytes(by_map, 0, 8000).missed, 8000u);  // the page of counters is still there
  ASSERT_EQ(::ftruncate(fd.get(), 0), 0);
  EXPECT_EQ(read_bytes(by_pread, 0, 8000).data, "");
  EXPECT_EQ(by_pread.positions(), Positions{});
}

TEST(RingView, MovesAndOutlivesTheName) {
  TempDir dir;
  ByteRing ring(create(dir, "ring", 4096), {});
  ring.append(as_span(pattern(0, 100)));
  RingView first = view(dir, "ring", Access::kMap);
  ASSERT_EQ(::unlinkat(dir.fd(), "ring", 0), 0);
  RingView second = std::move(first);
  first = std::move(second);
  EXPECT_EQ(read_bytes(first, 0, 100).data, pattern(0, 100));
}

}  // namespace
}  // namespace bgtask::ring
