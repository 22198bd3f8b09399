// Random reads, peeks and discards through the protocol, while the child writes and supervisors are killed,
// compared with a simple model.
#include <fstream>
#include <random>

#include "tests/e2e/pattern.h"
#include "tests/faults/fault_test.h"

namespace bgtask::faults {
namespace {

constexpr uint64_t kPage = 4096;
constexpr uint64_t kLongestRead = 900'000;  // fits one reply

/// Model of a byte stream as docs/protocol.md describes it. Its bytes are the pattern, so only positions are
/// kept.
class Model {
 public:
  Model(uint64_t buffer, uint64_t retain, bool block)
      : capacity((std::max(buffer, retain) + kPage - 1) / kPage * kPage), retain_(retain), block_(block) {}

  void write(uint64_t count) {
    written += count;
    settle();
  }
  /// The reply to a read of [offset, end).
  Json read(uint64_t offset, uint64_t end, bool peek) {
    const uint64_t begin = std::max(offset, start);
    const uint64_t from = std::min(begin, end);
    const uint64_t to = std::max(from, std::min(end, limit));
    const uint64_t missed = from - offset;
    if (!peek && to <= limit) {
      consumed = std::max(consumed, to);
      start = std::max(start, consumed - std::min(consumed, retain_));
    }
    return reply(from, missed, e2e::pattern(from, to - from));
  }
  Json discard(uint64_t end) {
    end = std::min(end, limit);
    consumed = std::max(consumed, end);
    start = std::max(start, end);
    return reply(end, 0, "");
  }
  /// Takes in what waited for room in a blocking ring.
  void settle() {
    const uint64_t room = block_ ? capacity - (limit - consumed) : UINT64_MAX;
    limit += std::min(written - limit, room);
    if (limit - start <= capacity) return;
    start = limit - capacity;
    lost += start - std::min(start, consumed);
    consumed = std::max(consumed, start);
  }

  uint64_t capacity, start = 0, consumed = 0, limit = 0, lost = 0, written = 0;

 private:
  Json reply(uint64_t offset, uint64_t missed, const std::string& data) const {
    return {{"offset", offset},     {"missed", missed},
            {"data", data},         {"start", start},
            {"consumed", consumed}, {"limit", limit},
            {"lost", lost},         {"taken", missed - std::min(lost, missed)},
            {"eof", false},         {"gap", false}};
  }
  uint64_t retain_;
  bool block_;
};

struct Geometry {
  uint64_t buffer;
  bool block;
};
void PrintTo(const Geometry& geometry, std::ostream* out) {
  *out << geometry.buffer << (geometry.block ? " block" : " drop");
}

constexpr uint64_t kBuffers[] = {1,    4095,   4096,   4097,   8191,      8192,
                                 8193, 65'535, 65'536, 65'537, 1'048'575, 1'048'577};

class OutputModel : public FaultTest, public testing::WithParamInterface<Geometry> {
 protected:
  void SetUp() override {
    FaultTest::SetUp();
    random_.seed(seed() + static_cast<unsigned>(GetParam().buffer));
    const uint64_t buffer = GetParam().buffer;
    const uint64_t retains[] = {0, 1, 4095, 4097, buffer, buffer + 1};
    const uint64_t retain = retains[random_() % std::size(retains)];
    model_.emplace(buffer, retain, GetParam().block);
    // The child takes its commands from a FIFO, which outlives its supervisor.
    const std::filesystem::path fifo = make_fifo("commands");
    task_.emplace(awkward({"puppet", fifo.string()},
                          {.buffer = buffer,
                           .retain_output = retain,
                           .overflow = GetParam().block ? Overflow::kBlock : Overflow::kDrop}));
    commands_.open(fifo);
    said_ = "seed " + std::to_string(seed()) + ", retain " + std::to_string(retain) + ", ";
    connect();
    EXPECT_EQ(task_->stream("stdout").info()["capacity"], model_->capacity);
  }
  void TearDown() override {
    commands_.close();
    client_.reset();
    task_.reset();
    FaultTest::TearDown();
  }
  void connect() {
    const bool json = random_() % 2 == 0;
    client_ = std::make_unique<e2e::RawClient>(socket_of(*task_),
                                               json ? e2e::Encoding::kJson : e2e::Encoding::kMsgpack);
    // In JSON every byte may take six, so a reply holds less.
    longest_ = json ? kLongestRead / 6 : kLongestRead;
  }
  uint64_t some_length() {
    const uint64_t capacity = model_->capacity;
    const uint64_t lengths[] = {0, 1, kPage - 1 + random_() % 3, capacity / 2 - 1 + random_() % 3,
                                capacity - 1 + random_() % 3};
    return random_() % 3 == 0 ? lengths[random_() % std::size(lengths)] : random_() % 400;
  }
  uint64_t some_offset() {
    const uint64_t from = model_->start - std::min<uint64_t>(model_->start, 10);
    return from + random_() % (model_->limit - from + 20);
  }
  void write() {
    if (model_->written - model_->limit > 2 * model_->capacity) return;  // enough waits already
    const uint64_t count = std::max<uint64_t>(some_length(), 1);
    commands_ << "pattern " << model_->written << " " << count << "\n" << std::flush;
    model_->write(count);
    await();
  }
  /// Waits until everything that has room is taken in.
  void await() {
    const auto deadline = std::chrono::steady_clock::now() + e2e::kPatience;
    uint64_t limit = 0;
    while (limit != model_->limit && std::chrono::steady_clock::now() < deadline)
      limit = client_->result("stream_info", {{"stream", "stdout"}})["limit"];
    ASSERT_EQ(limit, model_->limit) << said_ << done_;
  }
  void read() {
    const uint64_t offset = some_offset();
    const uint64_t count = std::min(some_length(), longest_);
    const unsigned kind = random_() % 16;
    const bool discard = kind == 0, peek = !discard && kind < 10;
    Json reply = client_->result(
        "read",
        {{"stream", "stdout"}, {"offset", offset}, {"count", count}, {"peek", peek}, {"discard", discard}});
    reply["data"] = e2e::bytes_of(reply["data"]);
    const Json expected =
        discard ? model_->discard(offset + count) : model_->read(offset, offset + count, peek);
    // Not EXPECT_EQ, which would print a megabyte.
    ASSERT_TRUE(reply == expected) << said_ << done_ << ": " << kind << " [" << offset << ", +" << count
                                   << ")\n"
                                   << without_data(reply) << "\n"
                                   << without_data(expected);
    const uint64_t limit = model_->limit;
    model_->settle();
    if (model_->limit != limit) await();
  }
  static std::string without_data(Json reply) {
    reply["data"] = reply["data"].get_ref<const std::string&>().size();
    return reply.dump();
  }
  /// Reads the whole stream from the ring files.
  void look() {
    Stream out = task_->stream("stdout");
    const ReadResult all = out.peek(0);
    ASSERT_EQ(all.offset, model_->start) << said_ << done_;
    ASSERT_EQ(all.missed, model_->start);
    ASSERT_TRUE(all.data == e2e::pattern(model_->start, model_->limit - model_->start)) << said_ << done_;
    ASSERT_EQ(all.consumed, model_->consumed);
    ASSERT_EQ(all.lost, model_->lost);
    ASSERT_EQ(task_->snapshot()["streams"]["stdout"], out.info());
  }
  void lose_supervisor() {
    client_.reset();
    kill_supervisor(*task_);
    look();
    task_.emplace(pool().adopt(task_->pid()));
    connect();
    await();
  }
  void step() {
    const unsigned kind = random_() % 1000;
    if (kind < 300) {
      write();
    } else if (kind < 995) {
      read();
    } else {
      look();
    }
    ++done_;
  }
  void walk(int steps) {
    const int thirds = std::max(1, steps / 3);
    for (int i = 1; i <= steps && !HasFatalFailure(); ++i) {
      step();
      if (i % thirds == 0 && !HasFatalFailure()) lose_supervisor();
    }
  }
  const Model& model() const { return *model_; }

 private:
  std::mt19937 random_;
  std::optional<Model> model_;
  std::optional<Task> task_;
  std::unique_ptr<e2e::RawClient> client_;
  std::ofstream commands_;
  std::string said_;
  uint64_t longest_ = 0;
  int done_ = 0;
};

TEST_P(OutputModel, G2_G7_RandomOperationsAgreeWithTheModel) {
  // A million operations by night; where each is of a megabyte, fewer of them.
  const bool large = GetParam().buffer > 1'000'000;
  walk((large ? 1 : 8) * scaled(150, 6'150));
  EXPECT_GT(model().limit, model().capacity) << "it came round";
  EXPECT_GT(model().consumed, 0u);
}

std::vector<Geometry> geometries() {
  std::vector<Geometry> all;
  for (uint64_t buffer : kBuffers) {
    for (bool block : {false, true})
      all.push_back({buffer, block});
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(Geometries, OutputModel, testing::ValuesIn(geometries()), [](const auto& test) {
  return std::to_string(test.param.buffer) + (test.param.block ? "_block" : "_drop");
});

}  // namespace
}  // namespace bgtask::faults
