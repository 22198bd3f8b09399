#include <cstring>
#include <utility>

#include "ring_fixture.h"

namespace bgtask::ring {
namespace {

TEST(Crc32, IsTheIeeeOne) {
  const std::string check = "123456789";
  EXPECT_EQ(crc32(as_span(check)), 0xCBF43926u);
  EXPECT_EQ(crc32({}), 0u);
}

TEST(Storage, CreatesPrivateSparseFile) {
  TempDir dir;
  Storage storage = create(dir, "stdout", 1 << 20);
  struct stat st {};
  ASSERT_EQ(::fstatat(dir.fd(), "stdout", &st, 0), 0);
  EXPECT_EQ(st.st_mode & 07777, 0600u);
  EXPECT_EQ(static_cast<uint64_t>(st.st_size), kHeaderSize + (1 << 20));
  EXPECT_EQ(dir.blocks("stdout"), kHeaderSize);
  EXPECT_EQ(storage.capacity(), uint64_t{1} << 20);
}

TEST(Storage, RoundsCapacityToPages) {
  EXPECT_EQ(memory(1).capacity(), 4096u);
  EXPECT_EQ(memory(4096).capacity(), 4096u);
  EXPECT_EQ(memory(4097).capacity(), 8192u);
  EXPECT_FALSE(Storage::create_memory(Kind::kBytes, 0));
  EXPECT_FALSE(Storage::create_memory(Kind::kBytes, UINT64_MAX));
}

TEST(Storage, NeverReplacesAFile) {
  TempDir dir;
  create(dir, "stdout", 4096);
  const auto again = Storage::create_file(dir.fd(), "stdout", Kind::kBytes, 4096);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, ErrorCode::kExists);
}

TEST(Storage, ReservesOnlyWhatIsNeededAndGivesBack) {
  TempDir dir;
  Storage storage = create(dir, "stdout", 1 << 20);
  ASSERT_TRUE(storage.reserve(0, 10));
  EXPECT_EQ(dir.blocks("stdout"), kHeaderSize + 4096);
  ASSERT_TRUE(storage.reserve(10, 300'000));
  EXPECT_GE(dir.blocks("stdout"), kHeaderSize + 300'000);
  storage.release_now(200'000);
  EXPECT_LE(dir.blocks("stdout"), kHeaderSize + 300'000 - 200'000 + 4096 + kReserveChunk);
  storage.trim(300'000);
  storage.release_now(300'000);
  EXPECT_EQ(dir.blocks("stdout"), kHeaderSize + 4096);  // the page that position 300,000 lies in
}

TEST(Storage, ReservesAQuarterAheadAtMost) {
  TempDir dir;
  Storage storage = create(dir, "stdout", 32 << 20);
  uint64_t grown = 0;
  uint64_t before = dir.blocks("stdout");
  for (uint64_t to = 1000; to <= 32 << 20; to += 1000) {
    ASSERT_EQ(storage.try_reserve(to - 1000, to), 0);
    const uint64_t blocks = dir.blocks("stdout");
    ASSERT_GE(blocks, kHeaderSize + to);
    ASSERT_LE(blocks, kHeaderSize + 4096 + to + std::max<uint64_t>(std::min(to, kReserveChunk), to / 4));
    ASSERT_LE(blocks, kHeaderSize + 4096 + to + kLongestReserve);
    grown += blocks != std::exchange(before, blocks) ? 1 : 0;
  }
  EXPECT_LE(grown, 60u);
}

TEST(Storage, FullyReservedWindowMovesForNothing) {
  TempDir dir;
  Storage storage = create(dir, "stdout", 8192);
  for (uint64_t from = 0; from < 100'000; from += 1000) {
    ASSERT_EQ(storage.try_reserve(from, from + 1000), 0);
    storage.write(from, pattern(from, 1000).data(), 1000);
    std::string back(1000, '\0');
    storage.read(from, back.data(), back.size());
    ASSERT_EQ(back, pattern(from, 1000));
    ASSERT_LE(dir.blocks("stdout"), kHeaderSize + 8192);
  }
}

TEST(Storage, SmallConsumedPiecesAreReleasedInBatches) {
  TempDir dir;
  Storage storage = create(dir, "stdout", 1 << 20);
  ASSERT_TRUE(storage.reserve(0, 1 << 20));
  storage.header().limit_position.store(1 << 20);
  storage.release_below(kReserveChunk - 1);
  EXPECT_EQ(dir.blocks("stdout"), kHeaderSize + (1 << 20));
  storage.release_below(kReserveChunk);
  EXPECT_EQ(dir.blocks("stdout"), kHeaderSize + (1 << 20) - kReserveChunk);
  storage.release_below(1 << 20);
  EXPECT_EQ(dir.blocks("stdout"), kHeaderSize);
}

TEST(Storage, OpenChecksTheHeader) {
  TempDir dir;
  create(dir, "ring", 8192);
  const auto open = [&](Kind kind = Kind::kBytes) { return Storage::open_file(dir.fd(), "ring", kind); };
  ASSERT_TRUE(open());
  EXPECT_FALSE(open(Kind::kMessages));
  io::UniqueFd fd(::openat(dir.fd(), "ring", O_RDWR));
  const auto with_byte = [&](off_t at, char value) {
    char old = 0;
    EXPECT_EQ(::pread(fd.get(), &old, 1, at), 1);
    EXPECT_EQ(::pwrite(fd.get(), &value, 1, at), 1);
    const bool opened = open().has_value();
    EXPECT_EQ(::pwrite(fd.get(), &old, 1, at), 1);
    return opened;
  };
  for (off_t at : {0, 8, 12, 17, 24, 32})
    EXPECT_FALSE(with_byte(at, 0x55)) << at;
  EXPECT_FALSE(with_byte(80, 1));  // start beyond limit
  ASSERT_TRUE(open());
  ASSERT_EQ(::ftruncate(fd.get(), 8192), 0);
  EXPECT_FALSE(open());
  ASSERT_EQ(::ftruncate(fd.get(), 10), 0);
  EXPECT_FALSE(open());
}

TEST(Storage, OpenRefusesLinksAndFifos) {
  TempDir dir;
  create(dir, "ring", 8192);
  ASSERT_EQ(::symlinkat("ring", dir.fd(), "link"), 0);
  ASSERT_EQ(::mkfifoat(dir.fd(), "fifo", 0600), 0);
  EXPECT_EQ(Storage::open_file(dir.fd(), "link", Kind::kBytes).error().code, ErrorCode::kUnsafePool);
  EXPECT_EQ(Storage::open_file(dir.fd(), "fifo", Kind::kBytes).error().code, ErrorCode::kUnsafePool);
  EXPECT_EQ(Storage::open_file(dir.fd(), "none", Kind::kBytes).error().code, ErrorCode::kNotFound);
}

TEST(Storage, MemoryGoesBackToTheSystem) {
  Storage storage = memory(1 << 20);
  ASSERT_TRUE(storage.reserve(0, 1 << 20));
  storage.write(0, pattern(0, 1 << 20).data(), 1 << 20);
  storage.release_now(1 << 20);
  std::string back(16, 'x');
  storage.read(0, back.data(), back.size());
  EXPECT_EQ(back, std::string(16, '\0'));
}

}  // namespace
}  // namespace bgtask::ring
