#include "protocol/ring/index_ring.h"

#include "ring_fixture.h"

namespace bgtask::ring {
namespace {

IndexRecord record_at(const IndexRing& index, uint64_t seq) {
  IndexRecord record{};
  index.storage().read((seq - 1) * sizeof record, &record, sizeof record);
  return record;
}

Positions positions_of(const IndexRing& index) {
  return RingView::over(index.storage()).positions();
}

struct Rings {
  ByteRing out{memory(65536), {}};
  ByteRing err{memory(65536), {}};
  MessageRing data{memory(MessageRing::capacity_for(1), Kind::kMessages), {}};
};

TEST(IndexRing, NumbersRecordsFromOne) {
  IndexRing index(memory(4096, Kind::kIndex));
  EXPECT_EQ(index.next(), 1u);
  EXPECT_EQ(index.append(StreamId::kStdout, 0, 0, 10, 5), 1u);
  EXPECT_EQ(index.append(StreamId::kStderr, 0, 0, 20, 6), 2u);
  EXPECT_EQ(index.append(StreamId::kData, 0, 0, 0, 7), 3u);
  EXPECT_EQ(index.append(StreamId::kStdout, 10, 10, 1, 8), 4u);
  const IndexRecord last = record_at(index, 4);
  EXPECT_EQ(last.seq, 4u);
  EXPECT_EQ(last.time_ns, 8u);
  EXPECT_EQ(last.out, 10u);
  EXPECT_EQ(last.err, 20u);
  EXPECT_EQ(last.data, 1u);
  EXPECT_EQ(last.length, 1u);
  EXPECT_EQ(index.next(), 5u);
}

TEST(IndexRing, LongPiecesAreSeveralRecords) {
  IndexRing index(memory(4096, Kind::kIndex));
  EXPECT_EQ(index.append(StreamId::kStderr, 0, 0, 2 * kMaxRecord + 1, 5), 3u);
  EXPECT_EQ(record_at(index, 2).err, kMaxRecord);
  EXPECT_EQ(record_at(index, 3).position, 2 * kMaxRecord);
  EXPECT_EQ(record_at(index, 3).length, 1u);
  EXPECT_EQ(index.append(StreamId::kStderr, 2 * kMaxRecord + 1, 0, 0, 5), 3u);
}

TEST(IndexRing, OldestRecordsGo) {
  IndexRing index(memory(4096, Kind::kIndex));
  for (uint64_t i = 0; i < 200; ++i)
    index.append(StreamId::kStdout, i, i, 1, i);
  EXPECT_EQ(positions_of(index), (Positions{136, 136, 200, 0, false, 0}));
  EXPECT_EQ(record_at(index, 137).out, 136u);
  EXPECT_EQ(index.next(), 201u);
}

TEST(IndexRing, CapacityIsHalfOfTheBuffersWithinBounds) {
  EXPECT_EQ(IndexRing::capacity_for(3 << 20), 1'572'864u);
  EXPECT_EQ(IndexRing::capacity_for(4096), 65'536u);
  EXPECT_EQ(IndexRing::capacity_for(uint64_t{1} << 40), 64u << 20);
}

TEST(IndexRing, ContinuesAndAddsWhatHadNoRecord) {
  TempDir dir;
  Rings rings;
  rings.out.append(as_span(pattern(0, 150)));
  rings.err.append(as_span(pattern(0, 30)));
  rings.data.append({}, 1);
  rings.data.append(as_span(pattern(0, 9)), 77);
  {
    IndexRing index(create(dir, "index", 4096, Kind::kIndex));
    index.append(StreamId::kStdout, 0, 0, 100, 1);
    index.append(StreamId::kData, 0, 0, 0, 1);
    index.append(StreamId::kStderr, 0, 0, 30, 1);
  }
  IndexRing index(reopen(dir, "index", Kind::kIndex));
  EXPECT_EQ(index.next(), 4u);
  index.reconcile(rings.out, rings.err, rings.data, 99);
  EXPECT_EQ(index.next(), 6u);
  const IndexRecord out = record_at(index, 4);
  EXPECT_EQ(out.stream, static_cast<uint32_t>(StreamId::kStdout));
  EXPECT_EQ(out.out, 100u);
  EXPECT_EQ(out.length, 50u);
  EXPECT_EQ(out.err, 30u);
  EXPECT_EQ(out.time_ns, 99u);
  const IndexRecord data = record_at(index, 5);
  EXPECT_EQ(data.data, 1u);
  EXPECT_EQ(data.position, 24u);
  EXPECT_EQ(data.length, 9u);
  EXPECT_EQ(data.time_ns, 77u);
  index.reconcile(rings.out, rings.err, rings.data, 99);
  EXPECT_EQ(index.next(), 6u);
}

TEST(IndexRing, BeginsWhereItIsTold) {
  Rings rings;
  rings.out.begin_at(5000);
  IndexRing index(memory(4096, Kind::kIndex));
  index.begin_at(1001);
  index.reconcile(rings.out, rings.err, rings.data, 1);
  EXPECT_EQ(index.next(), 1001u);
  EXPECT_EQ(index.append(StreamId::kStderr, 0, 0, 3, 1), 1001u);
  EXPECT_EQ(record_at(index, 1001).out, 5000u);
}

TEST(IndexRing, ADamagedLastRecordEmptiesIt) {
  TempDir dir;
  {
    IndexRing index(create(dir, "index", 4096, Kind::kIndex));
    for (uint64_t i = 0; i < 5; ++i)
      index.append(StreamId::kStdout, i, i, 1, 1);
    index.storage().data()[4 * 64] = std::byte{9};
  }
  IndexRing index(reopen(dir, "index", Kind::kIndex));
  EXPECT_EQ(index.next(), 6u);
  EXPECT_EQ(positions_of(index).start, 5u);
}

}  // namespace
}  // namespace bgtask::ring
