// Rings on a file system without space: a tmpfs of 128 KiB in a mount namespace of a forked child's own.
#include <sched.h>
#include <sys/mount.h>

#include "protocol/ring/index_ring.h"
#include "protocol/ring/message_ring.h"
#include "protocol/ring/output_reader.h"
#include "ring_fixture.h"

namespace bgtask::ring {
namespace {

constexpr uint64_t kCapacity = 1 << 20;
using IntakeKind = ByteRing::Intake::Kind;

/// Runs `body` with a descriptor of a fresh, tiny file system.
void on_tiny_disk(const std::function<void(int dir)>& body) {
  Child child([&] {
    ASSERT_EQ(::unshare(CLONE_NEWNS), 0) << "needs root";
    ASSERT_EQ(::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
    ASSERT_EQ(::mount("tiny", "/mnt", "tmpfs", 0, "size=128k"), 0);
    const io::UniqueFd dir(::open("/mnt", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    body(dir.get());
  });
  EXPECT_EQ(child.wait(), 0);
}

/// Takes all the space that is left, but for `spare` bytes.
io::UniqueFd fill(int dir, uint64_t spare) {
  io::UniqueFd fd(::openat(dir, "ballast", O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  off_t size = 0;
  while (::fallocate(fd.get(), 0, size, 4096) == 0)
    size += 4096;
  EXPECT_GE(size, static_cast<off_t>(spare));
  EXPECT_EQ(::ftruncate(fd.get(), size - static_cast<off_t>(spare)), 0);
  return fd;
}

ByteRing ring_in(int dir, Overflow overflow = Overflow::kDrop, const char* name = "stdout") {
  return ByteRing(std::move(Storage::create_file(dir, name, Kind::kBytes, kCapacity).value()),
                  {.capacity = kCapacity, .retain = 0, .overflow = overflow});
}

std::string all_of(const ByteRing& ring) {
  return read_bytes(RingView::over(ring.storage()), 0, UINT64_MAX).data;
}

TEST(FullDisk, CreationIsATypedErrorAndLeavesNothing) {
  on_tiny_disk([](int dir) {
    const auto ballast = fill(dir, 0);
    const auto storage = Storage::create_file(dir, "stdout", Kind::kBytes, kCapacity);
    ASSERT_FALSE(storage);
    EXPECT_EQ(storage.error().code, ErrorCode::kNoSpace);
    EXPECT_NE(::faccessat(dir, "stdout", F_OK, 0), 0);
  });
}

TEST(FullDisk, DropKeepsTheNewestThatFits) {
  on_tiny_disk([](int dir) {
    ByteRing ring = ring_in(dir);
    Pipe pipe;
    uint64_t written = 0;
    while (written < 1'000'000) {
      written += pipe.put(pattern(written, 10'000));
      while (ring.take_in(pipe.read_end.get(), 65536).kind == IntakeKind::kBytes) {
      }
    }
    const Positions at = ring.positions();
    EXPECT_EQ(at.limit, written);
    EXPECT_EQ(at.lost, at.start);
    EXPECT_GT(at.limit - at.start, 50'000u);
    EXPECT_LE(at.limit - at.start, 128u * 1024);
    EXPECT_EQ(all_of(ring), pattern(at.start, at.limit - at.start));
  });
}

TEST(FullDisk, WithNoSpaceAtAllTheChildStillRunsAndLossIsCounted) {
  on_tiny_disk([](int dir) {
    ByteRing ring = ring_in(dir);
    auto ballast = fill(dir, 0);
    Pipe pipe;
    ASSERT_EQ(pipe.put(pattern(0, 50'000)), 50'000u);
    while (ring.take_in(pipe.read_end.get(), 65536).kind == IntakeKind::kBytes) {
    }
    EXPECT_EQ(ring.positions(), (Positions{50'000, 50'000, 50'000, 50'000, false, 0}));
    ring.append(as_span(pattern(50'000, 1000)));
    EXPECT_EQ(ring.positions(), (Positions{51'000, 51'000, 51'000, 51'000, false, 0}));
    // Space comes back, and with it the ring.
    ASSERT_EQ(::ftruncate(ballast.get(), 0), 0);
    pipe.put(pattern(51'000, 60'000));
    while (ring.take_in(pipe.read_end.get(), 65536).kind == IntakeKind::kBytes) {
    }
    EXPECT_EQ(ring.positions(), (Positions{51'000, 51'000, 111'000, 51'000, false, 0}));
    EXPECT_EQ(all_of(ring), pattern(51'000, 60'000));
    pipe.write_end.reset();
    EXPECT_EQ(ring.take_in(pipe.read_end.get(), 65536).kind, IntakeKind::kEof);
  });
}

TEST(FullDisk, BlockSaysSoAndLosesNothing) {
  on_tiny_disk([](int dir) {
    ByteRing ring = ring_in(dir, Overflow::kBlock);
    Pipe pipe;
    const std::string all = pattern(0, 400'000);
    ASSERT_EQ(pipe.put(all), all.size());
    std::string got;
    bool was_full = false;
    while (got.size() < all.size()) {
      const auto intake = ring.take_in(pipe.read_end.get(), 65536);
      if (intake.kind == IntakeKind::kBytes) continue;
      if (intake.kind == IntakeKind::kNoSpace) {
        EXPECT_EQ(intake.error, ENOSPC);
        was_full = true;
      }
      got += read_bytes(RingView::over(ring.storage()), got.size(), 20'000).data;
      ring.consume(got.size());
    }
    EXPECT_TRUE(was_full);
    EXPECT_TRUE(got == all);
    EXPECT_EQ(ring.positions().lost, 0u);
  });
}

TEST(FullDisk, SeveralRingsShareWhatThereIs) {
  on_tiny_disk([](int dir) {
    ByteRing out = ring_in(dir, Overflow::kDrop, "stdout");
    ByteRing err = ring_in(dir, Overflow::kDrop, "stderr");
    MessageRing data(std::move(Storage::create_file(dir, "data", Kind::kMessages, kCapacity).value()), {});
    IndexRing index(std::move(Storage::create_file(dir, "index", Kind::kIndex, kCapacity).value()));
    const RingView views[] = {RingView::over(index.storage()), RingView::over(out.storage()),
                              RingView::over(err.storage()), RingView::over(data.storage())};
    const OutputReader reader(views[0], views[1], views[2], views[3]);
    uint64_t seen[3] = {};
    uint64_t cursor = 0;
    const auto catch_up = [&] {
      do {
        const OutputBatch batch = reader.read(cursor, kAllOutput, 1 << 20);
        for (const OutputChunk& chunk : batch.chunks) {
          const size_t slot = static_cast<size_t>(chunk.stream) - 1;
          ASSERT_TRUE(chunk.data == pattern(chunk.offset, chunk.data.size()));
          seen[slot] += slot == 2 ? 1 : chunk.data.size();
        }
        for (int slot = 0; slot < 3; ++slot)
          seen[slot] += batch.lost[slot];
        cursor = batch.next;
      } while (cursor < reader.end());
    };
    for (uint64_t i = 0; i < 5000; ++i) {
      const uint64_t at = out.positions().limit;
      ASSERT_EQ(out.append(as_span(pattern(at, 100))).length, 100u);
      index.append(StreamId::kStdout, at, at, 100, i);
      const uint64_t err_at = err.positions().limit;
      ASSERT_EQ(err.append(as_span(pattern(err_at, 300))).length, 300u);
      index.append(StreamId::kStderr, err_at, err_at, 300, i);
      const auto message = data.append(as_span(pattern(i, 50)), i);
      ASSERT_TRUE(message.kept);
      ASSERT_EQ(message.number, i);
      index.append(StreamId::kData, message.number, message.position, 50, i);
      if (i % 7 == 0) catch_up();
    }
    EXPECT_EQ(index.next(), 15'001u);
    index.append(StreamId::kStdout, out.positions().limit, 0, 0, 0);
    catch_up();
    // The last records may be lost to the index itself; they are counted with the next one that is kept.
    EXPECT_LE(seen[0], 500'000u);
    EXPECT_LE(seen[1], 1'500'000u);
    EXPECT_LE(seen[2], 5000u);
    EXPECT_GT(seen[0] + seen[1] + seen[2], 0u);
    EXPECT_EQ(out.positions().limit, 500'000u);
    EXPECT_EQ(data.positions().limit, 5000u);
    EXPECT_EQ(out.positions().lost, out.positions().start);
    EXPECT_EQ(data.positions().lost, data.positions().start);
  });
}

TEST(FullDisk, MessagesAreCountedOrRefused) {
  on_tiny_disk([](int dir) {
    MessageRing data(std::move(Storage::create_file(dir, "data", Kind::kMessages, kCapacity).value()), {});
    MessageRing block(std::move(Storage::create_file(dir, "block", Kind::kMessages, kCapacity).value()),
                      {.capacity = kCapacity, .retain = 0, .overflow = Overflow::kBlock});
    auto ballast = fill(dir, 0);
    EXPECT_TRUE(data.append(as_span(pattern(0, 100)), 1).kept);
    EXPECT_EQ(data.positions(), (Positions{1, 1, 1, 1, false, 0}));
    EXPECT_FALSE(block.append(as_span(pattern(0, 100)), 1).kept);
    EXPECT_EQ(block.positions(), Positions{});
    ASSERT_EQ(::ftruncate(ballast.get(), 0), 0);
    EXPECT_TRUE(block.append(as_span(pattern(0, 100)), 1).kept);
    EXPECT_TRUE(data.append(as_span(pattern(1, 100)), 1).kept);
    EXPECT_EQ(data.positions(), (Positions{1, 1, 2, 1, false, 0}));
  });
}

}  // namespace
}  // namespace bgtask::ring
