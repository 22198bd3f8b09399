// Output that is in the rings and no longer, or not, in the index.
#include <algorithm>
#include <random>

#include "output_fixture.h"

namespace bgtask::ring {
namespace {

constexpr uint64_t kSmallIndex = 4096;  // 64 records

/// Takes batches as a follower does, and checks each chunk.
class Follower {
 public:
  explicit Follower(const Output& output, bool keeps_place = true)
      : output_(output), keeps_place_(keeps_place) {}

  void take(uint64_t max_bytes, Pieces pieces = Pieces::kApart, Tail tail = Tail::kAwaited) {
    const auto place = keeps_place_ ? place_ : std::nullopt;
    const OutputBatch batch = output_.reader().read(cursor, kAllOutput, max_bytes, place, pieces, tail);
    for (const OutputChunk& chunk : batch.chunks) {
      const size_t slot = slot_of_chunk(chunk);
      const bool message = slot == 2;
      ASSERT_GE(chunk.offset, last_end_[slot]);
      ASSERT_EQ(chunk.data, pattern(chunk.offset, message ? chunk.offset % 50 : chunk.data.size()));
      ASSERT_TRUE(message || !chunk.data.empty());
      const uint64_t weight = message ? 1 : chunk.data.size();
      last_end_[slot] = chunk.offset + weight;
      given[slot] += weight;
    }
    for (size_t slot = 0; slot < 3; ++slot) {
      lost[slot] += batch.lost[slot];
      taken[slot] += batch.taken[slot];
      if (keeps_place_) {
        ASSERT_EQ(given[slot] + lost[slot] + taken[slot], batch.place.value().totals[slot]) << slot;
      }
    }
    moved = batch.next != cursor || !batch.empty();
    cursor = batch.next;
    place_ = batch.place;
    last = batch;
    ++batches;
  }
  void take_all(uint64_t max_bytes = 1 << 20, Pieces pieces = Pieces::kApart, Tail tail = Tail::kAwaited) {
    for (moved = true; moved && !::testing::Test::HasFatalFailure();)
      take(max_bytes, pieces, tail);
  }
  void expect_all_accounted_for() const {
    for (size_t slot = 0; slot < 3; ++slot) {
      const Positions at = output_.positions(slot);
      EXPECT_EQ(given[slot] + lost[slot] + taken[slot], at.limit) << slot;
    }
  }

  uint64_t cursor = 0;
  Totals given{}, lost{}, taken{};
  OutputBatch last;
  bool moved = false;
  int batches = 0;

 private:
  static size_t slot_of_chunk(const OutputChunk& chunk) { return static_cast<size_t>(chunk.stream) - 1; }

  const Output& output_;
  bool keeps_place_;
  std::optional<OutputPlace> place_;
  Totals last_end_{};
};

TEST(UnrecordedOutput, ComesFirstAndWithoutATime) {
  Output output(1 << 20, kSmallIndex);
  for (int i = 0; i < 100; ++i) {
    output.put_out(10);
    output.put(StreamId::kData, "x");
  }
  const OutputBatch batch = output.read(0);
  ASSERT_EQ(batch.chunks.size(), 68u + 1 + 64);
  EXPECT_EQ(batch.chunks[0].stream, StreamId::kData);
  EXPECT_EQ(batch.chunks[0].time_ns, 1002u);  // a message carries its time
  EXPECT_EQ(batch.chunks[68].data, pattern(0, 680));
  EXPECT_EQ(batch.chunks[68].time_ns, 0u);
  EXPECT_EQ(batch.chunks[69].seq, 137u);
  EXPECT_EQ(batch.chunks[69].offset, 680u);
  EXPECT_EQ(batch.lost[0] + batch.lost[2], 0u);
  EXPECT_EQ(batch.next, 201u);
}

TEST(UnrecordedOutput, OfAForgottenCursorAloneNothingIsKnown) {
  Output output(1 << 20, kSmallIndex);
  for (int i = 0; i < 200; ++i)
    output.put_out(10);
  const OutputBatch batch = output.read(50);
  EXPECT_TRUE(batch.lost[0] == 0 && batch.taken[0] == 0);
  EXPECT_EQ(batch.chunks.front().seq, 137u);
}

TEST(UnrecordedOutput, IsReadPageByPageWithoutMemory) {
  for (const Pieces pieces : {Pieces::kApart, Pieces::kJoined}) {
    Output output(1 << 20, kSmallIndex);
    for (int i = 0; i < 70'000; ++i) {
      output.put_out(13);
      if (i % 3 == 0) output.put_err(25);
      if (i % 70 == 0) output.put_message();
    }
    for (uint64_t max_bytes : {uint64_t{5000}, uint64_t{100'000}, uint64_t{640} * 1024}) {
      Follower follower(output, false);
      follower.take_all(max_bytes, pieces);
      follower.expect_all_accounted_for();
      EXPECT_EQ(follower.given[0], 13u * 70'000);
      EXPECT_EQ(follower.lost[0] + follower.taken[0], 0u);
    }
  }
}

TEST(UnrecordedOutput, SeqOfEachChunkLeadsToWhatFollowsIt) {
  Output output(1 << 20, kSmallIndex);
  for (int i = 0; i < 5'000; ++i) {
    output.put_out(100);
    output.put_message();
  }
  const OutputBatch all = output.read(0, kAllOutput, 1 << 20);
  for (size_t i = 0; i + 1 < all.chunks.size(); ++i) {
    const OutputBatch rest = output.read(all.chunks[i].seq + 1, kAllOutput, 0);
    ASSERT_FALSE(rest.chunks.empty());
    ASSERT_EQ(rest.chunks[0].stream, all.chunks[i + 1].stream);
    ASSERT_EQ(rest.chunks[0].offset, all.chunks[i + 1].offset);
  }
}

TEST(UnrecordedOutput, IsReadWithoutMemoryWhileMoreIsWritten) {
  Output output(1 << 20, kSmallIndex);
  for (int i = 0; i < 60'000; ++i) {
    output.put_out(15);
    output.put_err(9);
  }
  Follower follower(output, false);
  for (follower.moved = true; follower.moved && !HasFatalFailure();) {
    follower.take(50'000);
    // Fewer than the index remembers, or a cursor after a record could not be understood.
    for (int i = 0; i < 20 && follower.batches < 500; ++i) {
      output.put_err(200);
      output.put_out(70);
    }
  }
  follower.expect_all_accounted_for();
  EXPECT_EQ(follower.taken[0] + follower.taken[1], 0u);
}

TEST(UnrecordedOutput, IsGivenToAFollowerThatFellBehind) {
  Output output(1 << 20, kSmallIndex);
  output.put_out(5);
  Follower follower(output);
  follower.take_all();
  ASSERT_EQ(follower.cursor, 2u);
  for (int i = 0; i < 1000; ++i)
    output.put_out(1), output.put_err(2);
  follower.take(100);
  EXPECT_EQ(follower.last.chunks.at(0).offset, 5u);
  EXPECT_EQ(follower.last.chunks.at(0).time_ns, 0u);
  follower.take_all(100);
  follower.expect_all_accounted_for();
  EXPECT_EQ(follower.given, (Totals{1005, 2000, 0}));
}

TEST(UnrecordedOutput, BehindTheLastRecordIsGivenOfADeadWriter) {
  Output output;
  output.put_out(10);
  output.out.append(as_span(pattern(10, 70'000)));
  EXPECT_TRUE(output.read(0).ahead);
  for (const bool keeps_place : {false, true}) {
    Follower follower(output, keeps_place);
    follower.take_all(1 << 20, Pieces::kApart, Tail::kGiven);
    follower.expect_all_accounted_for();
    EXPECT_EQ(follower.given[0], 70'010u);
    EXPECT_EQ(follower.cursor, 4u);
  }
  Follower follower(output);
  follower.take_all(1 << 20, Pieces::kApart, Tail::kGiven);
  // The adopter records it, and nobody is given it again.
  output.index.reconcile(output.out, output.err, output.data, 1);
  EXPECT_EQ(output.reader().end(), 4u);
  output.put_out(7);
  follower.take_all();
  follower.expect_all_accounted_for();
}

TEST(UnrecordedOutput, WithNoRecordAtAllIsGiven) {
  Output output;
  output.put_out(1000);
  output.index.begin_at(output.index.next());
  const OutputBatch batch = output.read(0);
  EXPECT_EQ(batch.chunks.at(0).data, pattern(0, 1000));
  EXPECT_EQ(batch.next, 2u);
}

// Against the simplest account that could be right: at any time what is shown, told gone and told taken is
// what was written, and nothing is missing that the rings still hold.
TEST(UnrecordedOutput, ShownAndMissingAddUpWhateverHappens) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  int walks = 0;
  for (uint64_t buffer : {uint64_t{4096}, uint64_t{65536}, uint64_t{1} << 20}) {
    for (uint64_t index : {kSmallIndex, uint64_t{16384}, uint64_t{1} << 20}) {
      for (const bool consumes : {false, true}) {
        Output output(buffer, index, consumes && random() % 2 == 0 ? buffer / 2 : 0);
        Follower follower(output);
        const uint64_t hurry = 1 + random() % 300;
        for (int step = 0; step < 4000; ++step) {
          const uint64_t length = 1 + random() % (random() % 30 == 0 ? 9000 : 60);
          switch (random() % 4) {
            case 0:
              output.put_out(length);
              break;
            case 1:
              output.put_err(length);
              break;
            case 2:
              output.put_message();
              break;
            default:
              if (consumes && random() % 20 == 0)
                output.out.consume(random() % (output.positions(0).limit + 1));
              if (consumes && random() % 20 == 0)
                output.data.consume(random() % (output.positions(2).limit + 1));
          }
          if (random() % hurry != 0) continue;
          const Pieces pieces = random() % 2 == 0 ? Pieces::kApart : Pieces::kJoined;
          if (random() % 2 == 0) {
            follower.take(random() % 3000, pieces);
          } else {
            Totals must_come{};
            for (size_t slot = 0; slot < 3; ++slot) {
              const uint64_t done = follower.given[slot] + follower.lost[slot] + follower.taken[slot];
              const Positions at = output.positions(slot);
              must_come[slot] = follower.given[slot] + at.limit - std::max(done, at.start);
            }
            follower.take_all(random() % 100'000, pieces);
            ASSERT_EQ(follower.given, must_come);
            follower.expect_all_accounted_for();
          }
          ASSERT_FALSE(HasFatalFailure());
        }
        follower.take_all();
        follower.expect_all_accounted_for();
        for (size_t slot = 0; slot < 3; ++slot) {
          if (!consumes) {
            EXPECT_EQ(follower.taken[slot], 0u);
          }
          EXPECT_LE(follower.lost[slot], output.positions(slot).lost);
        }
        ASSERT_FALSE(HasFailure()) << "walk " << walks;
        ++walks;
      }
    }
  }
}

TEST(OutputCursor, KeepsHowFarEachStreamWasRead) {
  const Totals limits{3'000'000'000, 70'000, 1'000'000};
  for (const Totals& totals :
       {Totals{0, 0, 990'000}, Totals{65536, 16384, 999'999}, Totals{65536 * 40'000ull, 65536, 1'000'000}}) {
    const uint64_t cursor = unrecorded_cursor(totals);
    EXPECT_TRUE(is_unrecorded(cursor));
    EXPECT_LT(cursor, uint64_t{1} << 53);
    EXPECT_EQ(totals_of(cursor, limits), totals);
  }
  EXPECT_FALSE(is_unrecorded(UINT64_MAX));
  EXPECT_FALSE(has_reached(unrecorded_cursor({}), 5));
  EXPECT_TRUE(has_reached(5, 5));
}

}  // namespace
}  // namespace bgtask::ring
