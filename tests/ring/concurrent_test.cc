// A forked writer at full speed, readers in this process, and writers killed at any moment.
#include <algorithm>
#include <random>

#include "protocol/ring/index_ring.h"
#include "protocol/ring/message_ring.h"
#include "protocol/ring/output_reader.h"
#include "ring_fixture.h"

namespace bgtask::ring {
namespace {

using std::chrono::milliseconds;

/// Appends for ever, at times through a pipe as the supervisor does.
[[noreturn]] void flood(ByteRing& ring, uint64_t seed) {
  std::mt19937_64 random(seed);
  Pipe pipe;
  for (;;) {
    const uint64_t offset = ring.positions().limit;
    const std::string bytes = pattern(offset, 1 + random() % 5000);
    if (random() % 2 == 0) {
      ring.append(as_span(bytes));
    } else {
      pipe.put(bytes);
      while (ring.take_in(pipe.read_end.get(), 65536).kind == ByteRing::Intake::Kind::kBytes) {
      }
    }
  }
}

class Concurrent : public ::testing::TestWithParam<Access> {};
INSTANTIATE_TEST_SUITE_P(Both, Concurrent, ::testing::Values(Access::kMap, Access::kPread),
                         [](const auto& access) { return access.param == Access::kMap ? "Map" : "Pread"; });

TEST_P(Concurrent, EveryByteGivenIsTheRightOne) {
  for (uint64_t capacity : {4096, 16384, 65536}) {
    TempDir dir;
    ByteRing ring(create(dir, "ring", capacity), {.capacity = capacity});
    Child writer([&] { flood(ring, capacity); });
    const RingView view = bgtask::ring::view(dir, "ring", GetParam());
    uint64_t next = 0;
    uint64_t given = 0;
    uint64_t reads = 0;
    Positions last;
    const Deadline end(milliseconds(700));
    const Deadline patience(milliseconds(20'000));
    while (!end.passed() || (given < 1'000'000 && !patience.passed())) {
      // Now following, now from wherever the oldest byte is.
      if (++reads % 64 == 0) next = view.positions().start;
      const ByteRead read = read_bytes(view, next, 1 + reads % 7000);
      ASSERT_EQ(read.offset, next + read.missed);
      ASSERT_TRUE(read.data == pattern(read.offset, read.data.size()))
          << read.offset << " " << read.data.size();
      next = read.offset + read.data.size();
      given += read.data.size();
      const Positions now = read.positions;
      ASSERT_TRUE(now.start >= last.start && now.limit >= last.limit && now.lost >= last.lost);
      ASSERT_TRUE(now.limit - now.start <= capacity && now.lost == now.start && now.consumed == now.start)
          << text_of(now);
      last = now;
    }
    EXPECT_GE(given, 1'000'000u);
  }
}

TEST_P(Concurrent, ConsumedAndReturnedPagesAreNeverGivenAsData) {
  TempDir dir;
  ByteRing ring(create(dir, "ring", 1 << 20), {.capacity = 1 << 20});
  Child writer([&] {
    for (;;) {
      for (int i = 0; i < 20; ++i)
        ring.append(as_span(pattern(ring.positions().limit, 4000)));
      ring.consume(ring.positions().limit);
    }
  });
  const RingView view = bgtask::ring::view(dir, "ring", GetParam());
  const Deadline end(milliseconds(700));
  while (!end.passed()) {
    const ByteRead read = read_bytes(view, view.positions().start, 100'000);
    ASSERT_TRUE(read.data == pattern(read.offset, read.data.size()))
        << read.offset << " " << read.data.size();
  }
}

TEST_P(Concurrent, MessagesAreWholeOrGone) {
  TempDir dir;
  MessageRing ring(create(dir, "data", 8192, Kind::kMessages), {});
  Child writer([&] {
    for (uint64_t i = ring.positions().limit;; ++i)
      ring.append(as_span(pattern(i, i * 7 % 1500)), i);
  });
  const RingView view = bgtask::ring::view(dir, "data", GetParam(), Kind::kMessages);
  uint64_t next = 0;
  uint64_t given = 0;
  const Deadline end(milliseconds(700));
  const Deadline patience(milliseconds(20'000));
  while (!end.passed() || (given < 100 && !patience.passed())) {
    const MessageRead read = read_messages(view, next, 50, 1 << 20);
    ASSERT_EQ(read.offset, next + read.missed);
    next = read.offset;
    for (const Message& message : read.messages) {
      ASSERT_EQ(message.offset, next++);
      ASSERT_EQ(message.time_ns, message.offset);
      ASSERT_TRUE(message.data == pattern(message.offset, message.offset * 7 % 1500));
      ++given;
    }
  }
  EXPECT_GE(given, 100u);
}

TEST_P(Concurrent, AllOfATaskAddsUp) {
  TempDir dir;
  ByteRing out(create(dir, "stdout", 16384), {});
  ByteRing err(create(dir, "stderr", 4096), {});
  MessageRing data(create(dir, "data", 8192, Kind::kMessages), {});
  IndexRing index(create(dir, "index", 8 << 20, Kind::kIndex));  // room for every record
  constexpr uint64_t kSteps = 30'000;
  Child writer([&] {
    for (uint64_t i = 0; i < kSteps; ++i) {
      const uint64_t at = out.positions().limit;
      index.append(StreamId::kStdout, at, at, out.append(as_span(pattern(at, i % 300))).length, i);
      const uint64_t err_at = err.positions().limit;
      index.append(StreamId::kStderr, err_at, err_at, err.append(as_span(pattern(err_at, i % 50))).length, i);
      const auto message = data.append(as_span(pattern(i, i % 40)), i);
      index.append(StreamId::kData, message.number, message.position, i % 40, i);
    }
    out.set_eof(true), err.set_eof(true), data.set_eof(true);
  });
  const RingView views[] = {view(dir, "index", GetParam(), Kind::kIndex), view(dir, "stdout", GetParam()),
                            view(dir, "stderr", GetParam()), view(dir, "data", GetParam(), Kind::kMessages)};
  const OutputReader reader(views[0], views[1], views[2], views[3]);
  uint64_t cursor = 0;
  uint64_t seen[3] = {};
  const Deadline patience(milliseconds(60'000));
  for (bool eof = false; !eof && !patience.passed();) {
    const OutputBatch batch = reader.read(cursor, kAllOutput, 100'000);
    uint64_t seq = 0;
    for (const OutputChunk& chunk : batch.chunks) {
      ASSERT_GT(chunk.seq, seq);
      seq = chunk.seq;
      ASSERT_TRUE(chunk.data == pattern(chunk.offset, chunk.data.size()));
      const size_t slot = static_cast<size_t>(chunk.stream) - 1;
      seen[slot] += slot == 2 ? 1 : chunk.data.size();
    }
    for (int slot = 0; slot < 3; ++slot)
      seen[slot] += batch.lost[slot];
    cursor = batch.next;
    eof = batch.eof;
  }
  EXPECT_EQ(writer.wait(), 0);
  EXPECT_EQ(seen[0], views[1].positions().limit);
  EXPECT_EQ(seen[1], views[2].positions().limit);
  EXPECT_EQ(seen[2], kSteps);
}

TEST_P(Concurrent, AStoppedWriterHoldsNobodyUp) {
  TempDir dir;
  ByteRing ring(create(dir, "ring", 8192), {.capacity = 8192});
  Child writer([&] { flood(ring, 1); });
  const RingView view = bgtask::ring::view(dir, "ring", GetParam());
  for (int i = 0; i < 50; ++i) {
    writer.signal(SIGSTOP);
    const auto before = std::chrono::steady_clock::now();
    const ByteRead read = read_bytes(view, 0, UINT64_MAX);
    EXPECT_LT(std::chrono::steady_clock::now() - before, milliseconds(2000));
    ASSERT_TRUE(read.data == pattern(read.offset, read.data.size()));
    writer.signal(SIGCONT);
  }
}

TEST(KilledWriter, LeavesRightDataOrCountedLoss) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  TempDir dir;
  { ByteRing(create(dir, "ring", 8192), {}); }
  uint64_t last_limit = 0;
  for (int round = 0; round < 300; ++round) {
    ByteRing ring(reopen(dir, "ring"), {.capacity = 8192});
    const Positions at = ring.positions();
    ASSERT_GE(at.limit, last_limit);
    ASSERT_EQ(at.lost, at.start) << text_of(at);
    ASSERT_EQ(at.consumed, at.start) << text_of(at);
    const ByteRead read = read_bytes(view(dir, "ring", Access::kMap), at.start, UINT64_MAX);
    ASSERT_EQ(read.missed, 0u);
    ASSERT_EQ(read.data.size(), at.limit - at.start);
    ASSERT_TRUE(read.data == pattern(at.start, read.data.size()));
    last_limit = at.limit;
    Child writer([&] { flood(ring, random()); });
    const uint64_t until = at.limit + random() % 200'000;
    const Deadline patience(milliseconds(10'000));
    while (ring.positions().limit < until && !patience.passed()) {
    }
    writer.kill();
  }
}

TEST(KilledWriter, IndexAndRingsAreReconciled) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  TempDir dir;
  create(dir, "stdout", 8192), create(dir, "stderr", 4096);
  create(dir, "data", 8192, Kind::kMessages), create(dir, "index", 65536, Kind::kIndex);
  for (int round = 0; round < 150; ++round) {
    ByteRing out(reopen(dir, "stdout"), {});
    ByteRing err(reopen(dir, "stderr"), {});
    MessageRing data(reopen(dir, "data", Kind::kMessages), {});
    IndexRing index(reopen(dir, "index", Kind::kIndex));
    index.reconcile(out, err, data, 1);
    const RingView views[] = {RingView::over(index.storage()), RingView::over(out.storage()),
                              RingView::over(err.storage()), RingView::over(data.storage())};
    const OutputReader reader(views[0], views[1], views[2], views[3]);
    uint64_t seen[3] = {};
    for (uint64_t cursor = 0; cursor < reader.end();) {
      const OutputBatch batch = reader.read(cursor, kAllOutput, 1 << 20);
      for (const OutputChunk& chunk : batch.chunks) {
        const size_t slot = static_cast<size_t>(chunk.stream) - 1;
        ASSERT_TRUE(chunk.data == pattern(chunk.offset, chunk.data.size()));
        seen[slot] += slot == 2 ? 1 : chunk.data.size();
      }
      for (int slot = 0; slot < 3; ++slot)
        seen[slot] += batch.lost[slot];
      cursor = batch.next;
    }
    ASSERT_EQ(seen[0], out.positions().limit);
    ASSERT_EQ(seen[1], err.positions().limit);
    ASSERT_EQ(seen[2], data.positions().limit);
    Child writer([&] {
      for (uint64_t i = 0;; ++i) {
        const uint64_t at = out.positions().limit;
        index.append(StreamId::kStdout, at, at, out.append(as_span(pattern(at, i % 300))).length, i);
        const uint64_t err_at = err.positions().limit;
        index.append(StreamId::kStderr, err_at, err_at, err.append(as_span(pattern(err_at, i % 50))).length,
                     i);
        const uint64_t number = data.positions().limit;
        const auto message = data.append(as_span(pattern(number, number % 40)), i);
        index.append(StreamId::kData, message.number, message.position, number % 40, i);
      }
    });
    const uint64_t until = out.positions().limit + random() % 50'000;
    const Deadline patience(milliseconds(10'000));
    while (out.positions().limit < until && !patience.passed()) {
    }
    writer.kill();
  }
}

}  // namespace
}  // namespace bgtask::ring
