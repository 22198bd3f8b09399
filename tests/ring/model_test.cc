// Random operations on a byte ring against the simplest thing that could be right: a deque.
#include <algorithm>
#include <deque>
#include <random>

#include "ring_fixture.h"

namespace bgtask::ring {
namespace {

struct Case {
  uint64_t capacity;
  uint64_t retain;
  Overflow overflow;
  bool file;
};

class Model {
 public:
  explicit Model(Case c) : case_(c) {}

  uint64_t append(const std::string& bytes) {
    uint64_t n = bytes.size();
    if (case_.overflow == Overflow::kBlock) n = std::min(n, case_.capacity - (at.limit - at.consumed));
    kept.insert(kept.end(), bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(n));
    at.limit += n;
    if (at.limit - at.start > case_.capacity) {
      const uint64_t start = at.limit - case_.capacity;
      if (start > at.consumed) at.lost += start - at.consumed;
      at.consumed = std::max(at.consumed, start);
      begin_at(start);
    }
    return n;
  }
  void consume(uint64_t end) {
    at.consumed = std::max(at.consumed, std::min(end, at.limit));
    if (at.consumed > case_.retain) begin_at(std::max(at.start, at.consumed - case_.retain));
  }
  void discard(uint64_t end) {
    end = std::min(end, at.limit);
    at.consumed = std::max(at.consumed, end);
    begin_at(std::max(at.start, end));
  }

  Positions at;
  std::deque<char> kept;

 private:
  void begin_at(uint64_t start) {
    kept.erase(kept.begin(), kept.begin() + static_cast<ptrdiff_t>(start - at.start));
    at.start = start;
  }
  Case case_;
};

class Walk {
 public:
  Walk(Case c, uint64_t seed)
      : case_(c),
        random_(seed),
        model_(c),
        ring_(c.file ? create(dir_, "ring", c.capacity) : memory(c.capacity),
              {.capacity = c.capacity, .retain = c.retain, .overflow = c.overflow}) {}

  void step() {
    switch (random_() % 8) {
      case 0:
      case 1:
        return append();
      case 2:
        return take_in();
      case 3:
        return ring_.consume(some_offset()), model_.consume(last_);
      case 4:
        if (random_() % 8 == 0) ring_.discard(some_offset()), model_.discard(last_);
        return;
      default:
        return peek();
    }
  }
  void check() {
    ASSERT_EQ(ring_.positions(), model_.at) << text_of(ring_.positions()) << " / " << text_of(model_.at);
  }

  void check_all() {
    const ByteRead read = read_bytes(RingView::over(ring_.storage()), 0, UINT64_MAX);
    ASSERT_EQ(read.offset, model_.at.start);
    ASSERT_TRUE(std::equal(read.data.begin(), read.data.end(), model_.kept.begin(), model_.kept.end()));
    ASSERT_LE(case_.file ? dir_.blocks("ring") : 0, kHeaderSize + case_.capacity);
  }

 private:
  uint64_t some_length() {
    switch (random_() % 12) {
      case 0:
        return case_.capacity - 1 + random_() % 3;
      case 1:
        return case_.capacity / 2 - 1 + random_() % 3;
      case 2:
        return 4096 - 1 + random_() % 3;
      default:
        return random_() % 400;
    }
  }
  uint64_t some_offset() {
    const uint64_t from = model_.at.start - std::min<uint64_t>(model_.at.start, 10);
    return last_ = from + random_() % (model_.at.limit - from + 20);
  }
  void append() {
    const std::string bytes = pattern(model_.at.limit, some_length());
    ASSERT_EQ(ring_.append(as_span(bytes)).length, model_.append(bytes));
  }
  void take_in() {
    Pipe pipe;
    const std::string bytes = pattern(model_.at.limit, some_length());
    ASSERT_EQ(pipe.put(bytes), bytes.size());
    const uint64_t max = 1 + random_() % (2 * case_.capacity);
    uint64_t taken = 0;
    for (;;) {
      const auto intake = ring_.take_in(pipe.read_end.get(), max);
      if (intake.kind != ByteRing::Intake::Kind::kBytes) break;
      ASSERT_EQ(intake.offset, model_.at.limit);
      ASSERT_EQ(model_.append(bytes.substr(taken, intake.length)), intake.length);
      taken += intake.length;
    }
    if (case_.overflow == Overflow::kDrop) {
      ASSERT_EQ(taken, bytes.size());
    }
  }
  void peek() {
    const uint64_t offset = some_offset();
    const uint64_t count = some_length();
    const ByteRead read = read_bytes(RingView::over(ring_.storage()), offset, count);
    const uint64_t end = std::min(offset + count, model_.at.limit);
    const uint64_t begin = std::max(offset, std::min(end, model_.at.start));
    ASSERT_EQ(read.offset, begin);
    ASSERT_EQ(read.missed, begin - offset);
    ASSERT_EQ(read.data.size(), end > begin ? end - begin : 0);
    const auto from =
        model_.kept.begin() + static_cast<ptrdiff_t>(read.data.empty() ? 0 : begin - model_.at.start);
    ASSERT_TRUE(std::equal(read.data.begin(), read.data.end(), from));
  }

  TempDir dir_;
  Case case_;
  std::mt19937_64 random_;
  Model model_;
  ByteRing ring_;
  uint64_t last_ = 0;
};

TEST(Model, RandomOperationsAgree) {
  const uint64_t seed = std::random_device{}();
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  constexpr int kSteps = 6000;
  int total = 0;
  for (uint64_t capacity : {4096, 8192, 65536}) {
    for (uint64_t retain : {0, 100, 100'000}) {
      for (Overflow overflow : {Overflow::kDrop, Overflow::kBlock}) {
        for (bool file : {false, true}) {
          SCOPED_TRACE("seed " + std::to_string(seed) + " capacity " + std::to_string(capacity) + " retain " +
                       std::to_string(retain) + (overflow == Overflow::kBlock ? " block" : " drop") +
                       (file ? " file" : " memory"));
          Walk walk({capacity, retain, overflow, file}, seed + static_cast<uint64_t>(total));
          for (int i = 0; i < kSteps; ++i, ++total) {
            walk.step();
            walk.check();
            if (i % 100 == 0) walk.check_all();
            if (::testing::Test::HasFatalFailure()) return;
          }
        }
      }
    }
  }
  EXPECT_GE(total, 200'000);
}

}  // namespace
}  // namespace bgtask::ring
