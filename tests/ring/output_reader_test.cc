#include "protocol/ring/output_reader.h"

#include <chrono>

#include "output_fixture.h"

namespace bgtask::ring {
namespace {

// As somebody hostile may make a file: each of the pieces seems to be being written just now. To wait for
// each of them would take minutes.
TEST(OutputReader, WaitsForAWriterThatDoesNotComeOnceAndNotForEveryPiece) {
  Output output(4096);
  for (int i = 0; i < 4000; ++i)
    output.put_out(1);
  Header& header = output.out.storage().header();
  header.write_end.store(header.limit_position.load() + output.out.capacity());
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(output.read(0).lost[0], 4000u);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20));
}

TEST(OutputReader, MergesInTheOrderSeen) {
  Output output;
  output.put(StreamId::kStdout, "one\n");
  output.put(StreamId::kStderr, "two\n");
  output.put(StreamId::kData, "");
  output.put(StreamId::kStdout, "three\n");
  const OutputBatch batch = output.read(0);
  ASSERT_EQ(batch.chunks.size(), 4u);
  EXPECT_EQ(batch.chunks[0].data, "one\n");
  EXPECT_EQ(batch.chunks[0].seq, 1u);
  EXPECT_EQ(batch.chunks[0].time_ns, 1001u);
  EXPECT_EQ(batch.chunks[1].stream, StreamId::kStderr);
  EXPECT_EQ(batch.chunks[2].stream, StreamId::kData);
  EXPECT_EQ(batch.chunks[2].data, "");
  EXPECT_EQ(batch.chunks[3].offset, 4u);
  EXPECT_EQ(batch.next, 5u);
  EXPECT_FALSE(batch.eof);
  EXPECT_TRUE(output.read(5).chunks.empty());
  EXPECT_EQ(output.read(1, bit(StreamId::kStderr)).chunks.size(), 1u);
  EXPECT_EQ(output.read(1, bit(StreamId::kStderr)).next, 5u);
}

TEST(OutputReader, NothingYetAndBeyondTheEnd) {
  Output output;
  EXPECT_EQ(output.read(0).next, 1u);
  output.put_out(10);
  for (uint64_t cursor : {uint64_t{2}, uint64_t{3}, UINT64_MAX}) {
    EXPECT_EQ(output.read(cursor).next, 2u);
    EXPECT_TRUE(output.read(cursor).chunks.empty());
    EXPECT_EQ(output.read(cursor).lost[0], 0u);
  }
}

TEST(OutputReader, EofWhenAllChosenStreamsEndedAndAllWasRead) {
  Output output;
  output.put_out(10);
  output.out.set_eof(true);
  EXPECT_TRUE(output.read(0, bit(StreamId::kStdout)).eof);
  EXPECT_FALSE(output.read(0).eof);
  output.err.set_eof(true);
  output.data.set_eof(true);
  output.put_err(10);
  EXPECT_FALSE(output.read(0, kAllOutput, 10).eof);
  EXPECT_TRUE(output.read(2, kAllOutput, 10).eof);
}

TEST(OutputReader, MaxBytesIsSoft) {
  Output output;
  for (int i = 0; i < 5; ++i)
    output.put_out(100);
  EXPECT_EQ(output.read(0, kAllOutput, 250).chunks.size(), 2u);
  EXPECT_EQ(output.read(0, kAllOutput, 250).next, 3u);
  EXPECT_EQ(output.read(3, kAllOutput, 0).chunks.size(), 1u);
  EXPECT_EQ(output.read(3, kAllOutput, 300).chunks.size(), 3u);
}

std::vector<std::string> told(const OutputBatch& batch) {
  std::vector<std::string> chunks;
  for (const auto& chunk : batch.chunks) {
    chunks.push_back(std::to_string(chunk.seq) + " at " + std::to_string(chunk.time_ns) + " stream " +
                     std::to_string(static_cast<int>(chunk.stream)) + " offset " +
                     std::to_string(chunk.offset) + " " + chunk.data);
  }
  return chunks;
}

TEST(OutputReader, JoinsWhatFollowsInOneStream) {
  Output output;
  output.put(StreamId::kStdout, "a");
  output.put(StreamId::kStdout, "bc");
  output.put(StreamId::kStderr, "E");
  output.put(StreamId::kStdout, "d");
  output.put(StreamId::kData, "m1");
  output.put(StreamId::kData, "m2");
  output.put(StreamId::kStdout, "e");
  output.put(StreamId::kStdout, "f");
  const auto all = output.read(0, kAllOutput, 1 << 20, Pieces::kJoined);
  EXPECT_EQ(told(all),
            (std::vector<std::string>{"2 at 1001 stream 1 offset 0 abc", "3 at 1003 stream 2 offset 0 E",
                                      "4 at 1004 stream 1 offset 3 d", "5 at 1005 stream 3 offset 0 m1",
                                      "6 at 1006 stream 3 offset 1 m2", "8 at 1007 stream 1 offset 4 ef"}));
  EXPECT_EQ(all.next, 9u);
  // What is not asked for does not part what is.
  const auto out = output.read(0, 1u << 1, 1 << 20, Pieces::kJoined);
  EXPECT_EQ(told(out), (std::vector<std::string>{"8 at 1001 stream 1 offset 0 abcdef"}));
  EXPECT_EQ(out.next, 9u);
}

TEST(OutputReader, JoinedPiecesKeepToTheBound) {
  Output output;
  for (int i = 0; i < 2000; ++i)
    output.put_out(100);
  std::string all;
  uint64_t cursor = 0;
  size_t batches = 0;
  for (OutputBatch batch; (batch = output.read(cursor, kAllOutput, 1050, Pieces::kJoined)).next != cursor;) {
    if (batch.chunks.empty()) break;
    ASSERT_EQ(batch.chunks.size(), 1u);
    EXPECT_EQ(batch.chunks[0].data.size(), 1000u);
    EXPECT_EQ(batch.chunks[0].seq + 1, batch.next);
    all += batch.chunks[0].data;
    cursor = batch.next;
    ++batches;
  }
  EXPECT_EQ(batches, 200u);
  EXPECT_EQ(all, pattern(0, 200'000));
}

TEST(OutputReader, OfJoinedPiecesWhatIsGoneIsCounted) {
  Output output(4096);
  for (int i = 0; i < 100; ++i)
    output.put_out(100);
  const uint64_t start = output.out.positions().start;
  ASSERT_GT(start, 0u);
  const auto batch = output.read(0, kAllOutput, 1 << 20, Pieces::kJoined);
  ASSERT_EQ(batch.chunks.size(), 1u);
  EXPECT_EQ(batch.chunks[0].offset, start);
  EXPECT_EQ(batch.chunks[0].data, pattern(start, 10'000 - start));
  EXPECT_EQ(batch.lost[0], start);
  EXPECT_EQ(batch.next, 101u);
}

TEST(OutputReader, OverwrittenPiecesAreLostAndTailsAreGiven) {
  Output output(4096);
  for (int i = 0; i < 5; ++i)
    output.put_out(1000);
  output.put_err(7);
  const OutputBatch batch = output.read(0);
  EXPECT_EQ(batch.lost[0], 5000u - 4096);
  EXPECT_EQ(batch.lost[1], 0u);
  ASSERT_EQ(batch.chunks.size(), 6u);
  EXPECT_EQ(batch.chunks[0].seq, 1u);
  EXPECT_EQ(batch.chunks[0].offset, 904u);
  EXPECT_EQ(batch.chunks[0].data, pattern(904, 96));
  const OutputBatch err_only = output.read(0, bit(StreamId::kStderr));
  EXPECT_EQ(err_only.lost[0], 0u);
  EXPECT_EQ(err_only.chunks.size(), 1u);
}

TEST(OutputReader, ConsumedBytesAreTakenAndNotLost) {
  Output output;
  output.put_out(100);
  output.put_out(100);
  output.out.consume(150);
  const OutputBatch batch = output.read(0);
  EXPECT_EQ(batch.taken[0], 150u);
  EXPECT_EQ(batch.lost[0], 0u);
  ASSERT_EQ(batch.chunks.size(), 1u);
  EXPECT_EQ(batch.chunks[0].offset, 150u);
}

TEST(OutputReader, BytesAheadOfTheIndexAreNotGiven) {
  Output output;
  output.put_out(10);
  output.out.append(as_span(pattern(10, 5)));
  EXPECT_EQ(output.read(0).chunks.back().data, pattern(0, 10));
  EXPECT_EQ(output.read(2).chunks.size(), 0u);
}

TEST(OutputReader, WhatWasConsumedWithoutARecordIsTaken) {
  Output output;
  output.put_out(10);
  output.out.append(as_span(pattern(10, 5)));  // the writer died here, and a reader consumed it
  output.out.consume(15);
  output.index.reconcile(output.out, output.err, output.data, 1);
  output.put_out(20);
  const OutputBatch batch = output.read(2);
  EXPECT_EQ(batch.taken[0], 5u);
  EXPECT_EQ(batch.chunks.at(0).data, pattern(15, 20));
}

TEST(OutputReader, BeginningWithNoRecordLeft) {
  Output output;
  output.out.begin_at(500, 500);
  output.index.begin_at(40);
  output.index.reconcile(output.out, output.err, output.data, 1);
  const OutputBatch batch = output.read(0);
  EXPECT_EQ(batch.lost[0], 500u);
  EXPECT_EQ(batch.next, 40u);
  output.put_out(3);
  EXPECT_EQ(output.read(0).lost[0], 500u);
  EXPECT_EQ(output.read(40).lost[0], 0u);
}

TEST(OutputReader, WorkPerCallIsBounded) {
  Output output(4096, 16 << 20);
  for (int i = 0; i < 150'000; ++i)
    output.put_out(1);
  output.put_err(1);
  const OutputBatch first = output.read(0, bit(StreamId::kStderr));
  EXPECT_EQ(first.next, 1 + kMaxRecordsRead);
  EXPECT_TRUE(first.chunks.empty());
  EXPECT_EQ(output.read(first.next, kAllOutput).next, 1 + 2 * kMaxRecordsRead);
  const OutputBatch last = output.read(150'001 - 600, kAllOutput);
  EXPECT_EQ(last.chunks.size(), kMaxChunks);
}

}  // namespace
}  // namespace bgtask::ring
