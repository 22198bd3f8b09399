// The rings in anonymous memory: what is counted is our own work and not the file system's.
#include <benchmark/benchmark.h>

#include <stdexcept>
#include <vector>

#include "protocol/ring/byte_ring.h"
#include "protocol/ring/index_ring.h"
#include "protocol/ring/message_ring.h"
#include "protocol/ring/output_reader.h"
#include "protocol/ring/ring_view.h"

namespace {

using namespace bgtask::ring;

constexpr uint64_t kCapacity = 1 << 20;
constexpr uint64_t kNow = 1'700'000'000'000'000'000;

Storage memory(Kind kind, uint64_t capacity) {
  auto storage = Storage::create_memory(kind, capacity);
  if (!storage) throw std::runtime_error(storage.error().message);
  return std::move(*storage);
}

std::vector<std::byte> piece(benchmark::State& state) {
  return std::vector<std::byte>(static_cast<size_t>(state.range(0)), std::byte{'x'});
}

void append_bytes(benchmark::State& state) {
  ByteRing ring(memory(Kind::kBytes, kCapacity), {});
  const auto bytes = piece(state);
  for (auto _ : state)
    benchmark::DoNotOptimize(ring.append(bytes));
  state.SetBytesProcessed(state.iterations() * state.range(0));
}

void append_message(benchmark::State& state) {
  MessageRing ring(memory(Kind::kMessages, MessageRing::capacity_for(kCapacity)), {});
  const auto bytes = piece(state);
  for (auto _ : state)
    benchmark::DoNotOptimize(ring.append(bytes, kNow));
  state.SetBytesProcessed(state.iterations() * state.range(0));
}

void index_record(benchmark::State& state) {
  IndexRing ring(memory(Kind::kIndex, IndexRing::capacity_for(3 * kCapacity)));
  uint64_t offset = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(ring.append(StreamId::kStdout, offset, offset, 100, kNow));
    offset += 100;
  }
}

void read_bytes_back(benchmark::State& state) {
  ByteRing ring(memory(Kind::kBytes, kCapacity), {});
  const std::vector<std::byte> block(kCapacity, std::byte{'x'});
  ring.append(block);
  const RingView view = RingView::over(ring.storage());
  const auto length = static_cast<uint64_t>(state.range(0));
  uint64_t offset = 0;
  for (auto _ : state) {
    const ByteRead read = read_bytes(view, offset, length);
    if (read.data.size() != length) return state.SkipWithError("a short read");
    offset = offset + 2 * length <= kCapacity ? offset + length : 0;
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}

// All four rings: a page of output by its cursor, as followers read it.
void read_output(benchmark::State& state) {
  ByteRing out(memory(Kind::kBytes, kCapacity), {});
  ByteRing err(memory(Kind::kBytes, kCapacity), {});
  MessageRing data(memory(Kind::kMessages, MessageRing::capacity_for(kCapacity)), {});
  IndexRing index(memory(Kind::kIndex, IndexRing::capacity_for(3 * kCapacity)));
  const auto line = piece(state);
  for (int i = 0; i < 500; ++i) {
    const auto intake = out.append(line);
    index.append(StreamId::kStdout, intake.offset, intake.offset, intake.length, kNow);
  }
  const RingView views[] = {RingView::over(index.storage()), RingView::over(out.storage()),
                            RingView::over(err.storage()), RingView::over(data.storage())};
  const OutputReader reader(views[0], views[1], views[2], views[3]);
  for (auto _ : state) {
    const OutputBatch batch = reader.read(0, kAllOutput, kCapacity);
    if (batch.chunks.size() != 500) return state.SkipWithError("not every piece");
  }
  state.SetItemsProcessed(state.iterations() * 500);
}

BENCHMARK(append_bytes)->Arg(100)->Arg(4096)->Arg(65536);
BENCHMARK(append_message)->Arg(0)->Arg(100)->Arg(65536);
BENCHMARK(index_record);
BENCHMARK(read_bytes_back)->Arg(100)->Arg(4096)->Arg(65536);
BENCHMARK(read_output)->Arg(100);

}  // namespace
